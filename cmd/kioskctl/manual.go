package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// manualCmd prints the manual page, made of the table of verbs, in mdoc's older
// sister man(7). The package ships it.
type manualCmd struct{}

// Run does it.
func (manualCmd) Run(e *env, c *kong.Context) error {
	var b strings.Builder
	b.WriteString(".TH KIOSKCTL 1 \"\" kioskd \"Clinic kiosk\"\n.SH NAME\nkioskctl \\- command line of the clinic kiosk's media gateway\n" +
		".SH SYNOPSIS\n.B kioskctl\n[\\-\\-socket=PATH] COMMAND ...\n.SH DESCRIPTION\n")
	text, codes, _ := strings.Cut(description, "\n\n")
	b.WriteString(roff(text) + "\n.PP\n" + roff(codes) + "\n.SH OPTIONS\n")
	for _, f := range c.Model.Flags {
		writeFlag(&b, f)
	}
	b.WriteString(".SH COMMANDS\n")
	for _, n := range verbs(c.Model.Node, "") {
		b.WriteString(".SS \"" + roff(n.words) + roff(arguments(n.node)) + "\"\n" + roff(n.node.Help) + "\n")
		for _, p := range n.node.Positional {
			if p.Help != "" {
				b.WriteString(".TP\n.I " + roff(p.Summary()) + "\n" + roff(p.Help) + "\n")
			}
		}
		for _, f := range n.node.Flags {
			writeFlag(&b, f)
		}
	}
	b.WriteString(".SH FILES\n.TP\n.I /run/kioskd/control.sock\nkioskd's control socket; group kiosk opens it, group kiosk-tech makes a technician.\n" +
		".SH \"SEE ALSO\"\nkioskd(8), kioskd.toml(5), kioskscreen(1)\n")
	return e.say("%s", strings.TrimSuffix(b.String(), "\n"))
}

func writeFlag(b *strings.Builder, f *kong.Flag) {
	if f.Hidden {
		return
	}
	name := "\\-\\-" + roff(f.Name)
	if f.Short != 0 {
		name = fmt.Sprintf("\\-%c, %s", f.Short, name)
	}
	if !f.IsBool() {
		name += "=" + roff(f.FormatPlaceHolder())
	}
	b.WriteString(".TP\n.B " + name + "\n" + roff(f.Help) + "\n")
}

// verb is a command that can be run, with the words that lead to it.
type verb struct {
	words string
	node  *kong.Node
}

// verbs lists them in the table's order.
func verbs(n *kong.Node, before string) []verb {
	var out []verb
	for _, child := range n.Children {
		if child.Hidden || child.Type != kong.CommandNode {
			continue
		}
		words := strings.TrimSpace(before + " " + child.Name)
		if child.Leaf() {
			out = append(out, verb{words, child})
		}
		out = append(out, verbs(child, words)...)
	}
	return out
}

func arguments(n *kong.Node) string {
	var b strings.Builder
	for _, p := range n.Positional {
		b.WriteString(" " + p.Summary())
	}
	return b.String()
}

// roff escapes what troff would take for its own (groff(7)).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
