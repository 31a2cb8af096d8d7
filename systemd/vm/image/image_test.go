package image

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// made writes an image that looks whole.
func made(t *testing.T, change func(*Image)) Builder {
	t.Helper()
	dir := t.TempDir()
	hash, err := ours().hash()
	if err != nil {
		t.Fatal(err)
	}
	i := Image{Release: "6.1.0-1-amd64", Recipe: hash, Kernel: filepath.Join(dir, "vmlinuz"), Root: filepath.Join(dir, "root"), Modules: []string{filepath.Join(dir, "a.ko")}}
	for _, f := range append([]string{i.Kernel, i.Root}, i.Modules...) {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(&i)
	}
	b, err := json.Marshal(i)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, stamp), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return Builder{Dir: dir, Out: io.Discard}
}

func TestKeptImageIsUsed(t *testing.T) {
	i, err := made(t, nil).Get(t.Context(), false)
	if err != nil || i.Release != "6.1.0-1-amd64" {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestImageThatIsNotWhole(t *testing.T) {
	for name, change := range map[string]func(*Image){
		"another recipe": func(i *Image) { i.Recipe = "0123456789abcdef" },
		"no kernel":      func(i *Image) { _ = os.Remove(i.Kernel) },
		"no disk":        func(i *Image) { _ = os.Remove(i.Root) },
		"no module":      func(i *Image) { i.Modules = append(i.Modules, "/nowhere/b.ko") },
	} {
		if _, err := made(t, change).Kept(); err == nil || !strings.HasPrefix(err.Error(), "cannot use the image that is there") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := made(t, nil)
	if err := os.WriteFile(filepath.Join(b.Dir, stamp), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Kept(); err == nil {
		t.Error("half a stamp is a stamp")
	}
}

func TestRecipeNamesItsImage(t *testing.T) {
	first, err := ours().hash()
	if err != nil || len(first) != 16 {
		t.Fatalf("%q, %v", first, err)
	}
	other := ours()
	other.Packages = append(other.Packages, "vim")
	if second, err := other.hash(); err != nil || second == first {
		t.Errorf("another recipe has the same name: %v", err)
	}
}

func TestDebianSources(t *testing.T) {
	root := t.TempDir()
	if got := debianSources(root); got != "" {
		t.Errorf("out of nothing: %s", got)
	}
	old, deb822 := filepath.Join(root, "etc/apt/sources.list"), filepath.Join(root, "etc/apt/sources.list.d/debian.sources")
	if err := os.MkdirAll(filepath.Dir(deb822), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{old, deb822} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := debianSources(root); got == f {
			t.Errorf("%s is empty", f)
		}
		if err := os.WriteFile(f, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := debianSources(root); got != f {
			t.Errorf("got %q, want %s", got, f)
		}
	}
}

func TestProgramThatFailsIsQuoted(t *testing.T) {
	b := Builder{Dir: t.TempDir(), Out: io.Discard}
	out, err := b.run(t.Context(), b.Dir, "sh", "-c", "pwd; echo $LC_ALL")
	if err != nil || out != b.Dir+"\nC.UTF-8\n" {
		t.Errorf("%q, %v", out, err)
	}
	_, err = b.run(t.Context(), b.Dir, "sh", "-c", "echo no such mirror >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "no such mirror") || !strings.Contains(err.Error(), "status 3") {
		t.Errorf("got %v", err)
	}
}
