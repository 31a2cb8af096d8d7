package image

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestNewest(t *testing.T) {
	for _, c := range []struct{ name, names, want string }{
		{"by the number, not by the letter", "linux-image-6.1.0-9-amd64\nlinux-image-6.1.0-56-amd64\nlinux-image-6.1.0-48-amd64\n", "6.1.0-56-amd64"},
		{"a later sub-level", "linux-image-6.1.0-56-amd64\nlinux-image-6.1.1-2-amd64", "6.1.1-2-amd64"},
		{"no other flavours", "linux-image-6.1.0-60-cloud-amd64\nlinux-image-6.1.0-60-rt-amd64\nlinux-image-6.1.0-60-amd64-dbg\nlinux-image-6.1.0-60-amd64-unsigned\nlinux-image-6.1.0-3-amd64", "6.1.0-3-amd64"},
		{"no other series", "linux-image-6.12.0-60-amd64\nlinux-image-6.1.0-3-amd64\nlinux-image-6.1.0-4-arm64", "6.1.0-3-amd64"},
		{"no number that overflows", "linux-image-6.1.0-99999999999999999999-amd64\nlinux-image-6.1.0-3-amd64", "6.1.0-3-amd64"},
		{"none", "linux-image-amd64\n", ""},
		{"nothing", "", ""},
	} {
		got, err := newest(c.names)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "cannot find a kernel") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func FuzzNewest(f *testing.F) {
	f.Add("linux-image-6.1.0-56-amd64\nlinux-image-6.1.0-9-amd64\n")
	f.Fuzz(func(t *testing.T, names string) {
		got, err := newest(names)
		if err == nil && !strings.Contains(names, "linux-image-"+got) {
			t.Errorf("%q is in none of the names", got)
		}
	})
}

func TestNeeds(t *testing.T) {
	for info, want := range map[string][]string{
		"license=GPL\x00depends=videodev,mc\x00name=vivid\x00": {"videodev", "mc"},
		"depends=\x00name=mc\x00":                              nil,
		"name=mc":                                              nil,
		"xdepends=a\x00depends=b":                              {"b"},
		"depends=a,,b\x00":                                     {"a", "b"},
		"":                                                     nil,
	} {
		if got := needs([]byte(info)); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", info, got, want)
		}
	}
}

func FuzzNeeds(f *testing.F) {
	f.Add([]byte("license=GPL\x00depends=videodev,mc\x00name=vivid\x00"))
	f.Fuzz(func(t *testing.T, info []byte) {
		for _, n := range needs(info) {
			if n == "" || strings.ContainsAny(n, ",\x00") || !bytes.Contains(info, []byte(n)) {
				t.Errorf("a need called %q", n)
			}
		}
	})
}

// object is a relocatable ELF file with nothing but a .modinfo section, as a module
// has one (ELF-64, "ELF Header" and "Section Header").
func object(info string) []byte {
	const headers, sections = 64, 64
	names := "\x00.modinfo\x00.shstrtab\x00"
	at := headers + 3*sections
	le := binary.LittleEndian
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	b = le.AppendUint16(b, 1)  // ET_REL
	b = le.AppendUint16(b, 62) // EM_X86_64
	b = le.AppendUint32(b, 1)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, 0)
	b = le.AppendUint64(b, headers)
	b = le.AppendUint32(b, 0)
	for _, v := range []uint16{headers, 0, 0, sections, 3, 2} {
		b = le.AppendUint16(b, v)
	}
	section := func(name, kind uint32, offset, size int) {
		b = le.AppendUint32(b, name)
		b = le.AppendUint32(b, kind)
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(b, 0)
		b = le.AppendUint64(b, uint64(offset))
		b = le.AppendUint64(b, uint64(size))
		b = append(b, make([]byte, 8)...)
		b = le.AppendUint64(b, 1)
		b = le.AppendUint64(b, 0)
	}
	section(0, 0, 0, 0)
	section(1, 1, at, len(info))             // SHT_PROGBITS
	section(10, 3, at+len(info), len(names)) // SHT_STRTAB
	return append(append(b, info...), names...)
}

// tree writes modules, each with what it needs.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for path, info := range files {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, object(info), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestClosure(t *testing.T) {
	dir := tree(t, map[string]string{
		"kernel/fs/ext4/ext4.ko":     "depends=jbd2,crc16\x00",
		"kernel/fs/jbd2/jbd2.ko":     "license=GPL\x00",
		"kernel/lib/crc16.ko":        "",
		"kernel/sound/snd-aloop.ko":  "depends=snd-pcm\x00",
		"kernel/sound/snd-pcm.ko":    "depends=snd_aloop\x00", // a circle ends all the same
		"kernel/unwanted/unknown.ko": "depends=nowhere\x00",
	})
	m, err := findModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.closure([]string{"ext4", "snd_aloop", "crc16"})
	want := []string{
		"kernel/fs/jbd2/jbd2.ko", "kernel/lib/crc16.ko", "kernel/fs/ext4/ext4.ko",
		"kernel/sound/snd-pcm.ko", "kernel/sound/snd-aloop.ko",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, missing := range []string{"unknown", "vivid"} {
		if _, err := m.closure([]string{missing}); err == nil || !strings.HasPrefix(err.Error(), "cannot find the kernel module") {
			t.Errorf("%s: %v", missing, err)
		}
	}
}

func TestModulesThatAreNone(t *testing.T) {
	if _, err := findModules(t.TempDir()); err == nil {
		t.Error("an empty folder has modules")
	}
	dir := tree(t, nil)
	if err := os.WriteFile(filepath.Join(dir, "x.ko"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := findModules(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.closure([]string{"x"}); err == nil || !strings.Contains(err.Error(), "cannot read the kernel module") {
		t.Errorf("got %v", err)
	}
}

func TestBuiltin(t *testing.T) {
	dir := t.TempDir()
	if _, err := builtin(dir); err == nil {
		t.Error("no list, and no error")
	}
	text := "kernel/net/packet/af_packet.ko\nkernel/crypto/crc32c-generic.ko\n"
	if err := os.WriteFile(filepath.Join(dir, "modules.builtin"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := builtin(dir)
	if err != nil || len(got) != 2 || !got["af_packet"] || !got["crc32c_generic"] {
		t.Errorf("%v, %v", got, err)
	}
}
