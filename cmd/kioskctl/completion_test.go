package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// completion is what kioskctl prints for a shell, as a file of that name.
func completion(t *testing.T, shell, name string) (path, text string) {
	t.Helper()
	var out, complaints bytes.Buffer
	if code := run(t.Context(), []string{"completion", shell}, &out, &complaints); code != exitOK {
		t.Fatalf("%s: %s", shell, complaints.String())
	}
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, out.String()
}

// shell runs a script in the shell of that name.
func shell(t *testing.T, args ...string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, out)
	}
	return strings.Fields(string(out))
}

// Each shell loads its file as it does at the first TAB, and offers the same words.
func TestCompletions(t *testing.T) {
	bash, _ := completion(t, "bash", "kioskctl")
	zsh, _ := completion(t, "zsh", "_kioskctl")
	for _, tt := range []struct {
		before string
		want   []string
	}{
		{"kioskctl", []string{"open", "mute", "config", "--socket"}},
		{"kioskctl --socket mute config", []string{"show", "check", "sample", "--json"}},
		{"kioskctl call", []string{"test", "--seconds"}},
		{"kioskctl mute", []string{"on", "off"}},
	} {
		words := len(strings.Fields(tt.before))
		for name, got := range map[string][]string{
			"bash": shell(t, "bash", "-c", `. "$1"; COMP_WORDS=($2 ""); COMP_CWORD=$3; _kioskctl; echo "${COMPREPLY[@]}"`, "-", bash, tt.before, strconv.Itoa(words)),
			"zsh": shell(t, "zsh", "-fc", `compadd() { print -- $@ }; fpath=($1:h); autoload -U _kioskctl; words=(${=2} ""); CURRENT=$(($3+1)); _kioskctl`,
				"-", zsh, tt.before, strconv.Itoa(words)),
		} {
			for _, w := range tt.want {
				if !slices.Contains(got, w) {
					t.Errorf("%s: behind %q it offers %q, not %s", name, tt.before, got, w)
				}
			}
		}
	}
	if got := shell(t, "zsh", "-fc", `compdef() { print $@ }; source $1`, "-", zsh); !slices.Equal(got, []string{"_kioskctl", "kioskctl"}) {
		t.Errorf("sourced, zsh says %q", got)
	}
}

// fish gets each verb once, and the second words of those that have them.
func TestFishCompletion(t *testing.T) {
	_, text := completion(t, "fish", "kioskctl.fish")
	for _, want := range []string{
		" -n __fish_use_subcommand -a config -d ",
		" -n '__fish_seen_subcommand_from config; and not __fish_seen_subcommand_from show check sample' -a check -d ",
		" -n '__fish_seen_subcommand_from call; and not __fish_seen_subcommand_from test' -a test -d ",
		" -n '__fish_seen_subcommand_from call; and __fish_seen_subcommand_from test' -l seconds -r -d ",
		" -n '__fish_seen_subcommand_from permissions' -a 'grant deny dismiss'",
	} {
		if n := strings.Count(text, want); n != 1 {
			t.Errorf("%q stands in it %d times", want, n)
		}
	}
}
