// Manual makes what the package ships beside the programs, from the programs
// themselves: kioskd(8) and kioskscreen(1) from their -help, kioskd.toml(5) from the
// commented sample, kioskctl(1) and its completions from its table of verbs, and the
// copyright and the changelog that Debian's policy asks for.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kioskd/configs"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) } //nolint:forbidigo // main exits

// options are the flags.
type options struct{ bin, out, version, maintainer string }

func run(args []string, stderr io.Writer) int {
	var o options
	f := flag.NewFlagSet("manual", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.bin, "bin", "bin", "`folder` of programs that run here")
	f.StringVar(&o.out, "out", "bin/deb-amd64", "`folder` for what is made")
	f.StringVar(&o.version, "version", "", "the package's `version`")
	f.StringVar(&o.maintainer, "maintainer", "", "`who` for the changelog")
	if err := f.Parse(args); err != nil {
		return 2
	}
	if err := o.make(context.Background()); err != nil {
		_, _ = fmt.Fprintln(stderr, "manual:", err)
		return 1
	}
	return 0
}

// within bounds each program that is asked.
const within = 20 * time.Second

func (o options) make(ctx context.Context) error {
	kioskd, err := o.help(ctx, "kioskd")
	if err != nil {
		return err
	}
	screen, err := o.help(ctx, "kioskscreen")
	if err != nil {
		return err
	}
	sample, err := settingsPage(configs.Sample())
	if err != nil {
		return err
	}
	pages := map[string]string{
		"kioskd.8": daemonPage(kioskd), "kioskscreen.1": screenPage(screen), "kioskd.toml.5": sample,
		"changelog": o.changelog(),
	}
	if pages["kioskctl.1"], err = o.ask(ctx, "kioskctl", "manual"); err != nil {
		return err
	}
	for name, text := range pages {
		packed, err := pack(text)
		if err == nil {
			err = o.write(name+".gz", packed)
		}
		if err != nil {
			return err
		}
	}
	for shell, name := range map[string]string{"bash": "kioskctl.bash", "zsh": "_kioskctl", "fish": "kioskctl.fish"} {
		text, err := o.ask(ctx, "kioskctl", "completion", shell)
		if err == nil {
			err = o.write(name, []byte(text))
		}
		if err != nil {
			return err
		}
	}
	return o.copyright()
}

// help gives what a program of package flag says of its flags; it ends with 2 then.
func (o options) help(ctx context.Context, program string) (string, error) {
	text, err := o.ask(ctx, program, "-help")
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 2) {
		return "", err
	}
	return text, nil
}

func (o options) ask(ctx context.Context, program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(o.bin, program), args...).CombinedOutput() //nolint:gosec // our own programs
	if err != nil {
		err = fmt.Errorf("cannot ask %s for its manual: %w\n%s", program, err, out)
	}
	return string(out), err
}

func (o options) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(o.out, name), content, 0o644); err != nil { //nolint:gosec // for everybody
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// pack compresses as Debian's policy wants it: best, and without a time, so that the
// same text gives the same bytes.
func pack(text string) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot compress: %w", err)
	}
	return b.Bytes(), nil
}

// changelog is a native package's (deb-changelog(5)). Its date is none of
// the build's, so that the same release gives the same bytes.
func (o options) changelog() string {
	date := "Thu, 01 Jan 2026 00:00:00 +0000"
	return fmt.Sprintf("kioskd (%s) bookworm; urgency=medium\n\n  * Release %s. What is new stands in the project's history.\n\n -- %s  %s\n", o.version, o.version, o.maintainer, date)
}

func (o options) copyright() error {
	return o.write("copyright", []byte(`Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: kioskd

Files: *
Copyright: 2026 the kioskd authors
License: Apache-2.0
 On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.
`))
}

// roff escapes what troff would take for its own (groff(7)).
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}
