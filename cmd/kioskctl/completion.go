package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCmd prints a shell's completions, made of the table of verbs. The package
// ships them.
type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run does it.
func (c completionCmd) Run(e *env, k *kong.Context) error {
	list := verbs(k.Model.Node, "")
	global := flagNames(k.Model.Flags)
	switch c.Shell {
	case "bash":
		return e.say("%s", bashCompletion(offers(list, global)))
	case "zsh":
		return e.say("%s", zshCompletion(offers(list, global)))
	default:
		return e.say("%s", fishCompletion(list))
	}
}

// offer is what may stand behind a verb; an empty verb: behind nothing.
type offer struct {
	verb  string
	words []string
}

// offers are verbs, and behind a verb its second words, its fixed words and its flags.
func offers(list []verb, global []string) []offer {
	out := []offer{{"", nil}}
	for _, v := range list {
		first, rest, _ := strings.Cut(v.words, " ")
		if out[len(out)-1].verb != first {
			out[0].words = append(out[0].words, first)
			out = append(out, offer{first, nil})
		}
		o := &out[len(out)-1]
		if rest != "" {
			o.words = append(o.words, rest)
		}
		o.words = append(append(o.words, fixedWords(v.node)...), flagNames(v.node.Flags)...)
	}
	for i := range out {
		if i > 0 {
			slices.Sort(out[i].words)
		}
		out[i].words = append(slices.Compact(out[i].words), global...)
	}
	return out
}

func bashCompletion(list []offer) string {
	var b strings.Builder
	b.WriteString(`_kioskctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} verb= word i
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--socket) ((i++)) ;;
		-*) ;;
		*)
			verb=$word
			break
			;;
		esac
	done
	local words=
	case $verb in
`)
	for _, o := range list {
		fmt.Fprintf(&b, "\t%s) words=%q ;;\n", orElse(o.verb, `""`), strings.Join(o.words, " "))
	}
	b.WriteString(`	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _kioskctl kioskctl`)
	return b.String()
}

// zshCompletion is for a folder of fpath, where the first TAB loads the file as the
// function itself, and for sourcing (zshcompsys(1), "Autoloaded files").
func zshCompletion(list []offer) string {
	var b strings.Builder
	b.WriteString(`#compdef kioskctl
_kioskctl() {
	local verb= word
	local -a offered
	local -i i
	for ((i = 2; i < CURRENT; i++)); do
		word=$words[i]
		case $word in
		--socket) ((i++)) ;;
		-*) ;;
		*)
			verb=$word
			break
			;;
		esac
	done
	case $verb in
`)
	for _, o := range list {
		fmt.Fprintf(&b, "\t%s) offered=(%s) ;;\n", orElse(o.verb, `""`), strings.Join(o.words, " "))
	}
	b.WriteString(`	esac
	compadd -- $offered
}
if [[ $funcstack[1] == _kioskctl ]]; then
	_kioskctl "$@"
else
	compdef _kioskctl kioskctl
fi`)
	return b.String()
}

func fishCompletion(list []verb) string {
	lines := []string{"complete -c kioskctl -f", "complete -c kioskctl -l socket -r -d " + fishQuote("Path of kioskd's socket")}
	seconds := map[string][]string{}
	for _, v := range list {
		if first, second, found := strings.Cut(v.words, " "); found {
			seconds[first] = append(seconds[first], second)
		}
	}
	said := ""
	for _, v := range list {
		first, second, found := strings.Cut(v.words, " ")
		help, seen := v.node.Help, "__fish_seen_subcommand_from "+first
		if found {
			help = v.node.Parent.Help
		}
		if first != said {
			lines = append(lines, fmt.Sprintf("complete -c kioskctl -n __fish_use_subcommand -a %s -d %s", first, fishQuote(help)))
			said = first
		}
		if found {
			other := seen + "; and not __fish_seen_subcommand_from " + strings.Join(seconds[first], " ")
			lines = append(lines, fmt.Sprintf("complete -c kioskctl -n '%s' -a %s -d %s", other, second, fishQuote(v.node.Help)))
			seen += "; and __fish_seen_subcommand_from " + second
		}
		if words := fixedWords(v.node); len(words) > 0 {
			lines = append(lines, fmt.Sprintf("complete -c kioskctl -n '%s' -a '%s'", seen, strings.Join(words, " ")))
		}
		for _, f := range v.node.Flags {
			if !f.Hidden {
				lines = append(lines, fmt.Sprintf("complete -c kioskctl -n '%s' -l %s%s -d %s", seen, f.Name, either(f.IsBool(), "", " -r"), fishQuote(f.Help)))
			}
		}
	}
	return strings.Join(lines, "\n")
}

// fishQuote makes one word of text (fish-language(1), "Quotes").
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

// fixedWords are those that an argument is one of.
func fixedWords(n *kong.Node) []string {
	var out []string
	for _, p := range n.Positional {
		for _, w := range p.EnumSlice() {
			if w != "" {
				out = append(out, w)
			}
		}
	}
	return out
}

func flagNames(flags []*kong.Flag) []string {
	var out []string
	for _, f := range flags {
		if !f.Hidden {
			out = append(out, "--"+f.Name)
		}
	}
	return out
}
