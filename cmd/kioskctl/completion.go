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
		return e.say("%s", bashCompletion(list, global))
	case "zsh":
		return e.say("#compdef kioskctl\nautoload -U +X bashcompinit && bashcompinit\n%s", bashCompletion(list, global))
	default:
		return e.say("%s", fishCompletion(list))
	}
}

// bashCompletion offers verbs, and behind a verb its flags and fixed words.
func bashCompletion(list []verb, global []string) string {
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
	var names []string
	for _, v := range list {
		first, _, _ := strings.Cut(v.words, " ")
		if !slices.Contains(names, first) {
			names = append(names, first)
		}
	}
	fmt.Fprintf(&b, "\t\"\") words=%q ;;\n", strings.Join(append(names, global...), " "))
	for _, name := range names {
		var words []string
		for _, v := range list {
			first, rest, _ := strings.Cut(v.words, " ")
			if first != name {
				continue
			}
			if rest != "" {
				words = append(words, rest)
			}
			words = append(words, fixedWords(v.node)...)
			words = append(words, flagNames(v.node.Flags)...)
		}
		slices.Sort(words)
		fmt.Fprintf(&b, "\t%s) words=%q ;;\n", name, strings.Join(append(slices.Compact(words), global...), " "))
	}
	b.WriteString(`	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _kioskctl kioskctl`)
	return b.String()
}

func fishCompletion(list []verb) string {
	lines := []string{"complete -c kioskctl -f", "complete -c kioskctl -l socket -r -d \"Path of kioskd's socket\""}
	for _, v := range list {
		first, _, _ := strings.Cut(v.words, " ")
		lines = append(lines, fmt.Sprintf("complete -c kioskctl -n __fish_use_subcommand -a %s -d %q", first, v.node.Help))
		seen := "__fish_seen_subcommand_from " + first
		if words := fixedWords(v.node); len(words) > 0 {
			lines = append(lines, fmt.Sprintf("complete -c kioskctl -n %q -a %q", seen, strings.Join(words, " ")))
		}
		for _, f := range v.node.Flags {
			if !f.Hidden {
				lines = append(lines, fmt.Sprintf("complete -c kioskctl -n %q -l %s -d %q", seen, f.Name, f.Help))
			}
		}
	}
	return strings.Join(lines, "\n")
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
