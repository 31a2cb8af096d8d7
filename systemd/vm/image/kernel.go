package image

import (
	"bufio"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// series are the kernels that are wanted: Debian 12's own, for 64-bit PCs, neither
// its cloud image, which has no media drivers, nor the one for real time.
var series = regexp.MustCompile(`^linux-image-(6\.1\.(\d+)-(\d+)-amd64)$`)

// newest picks the newest kernel out of what `apt-cache pkgnames` prints, a name a
// line, and gives its release as uname -r says it: "6.1.0-56-amd64".
func newest(names string) (string, error) {
	type kernel struct {
		release  string
		sub, abi int
	}
	var list []kernel
	for line := range strings.Lines(names) {
		m := series.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		sub, err := strconv.Atoi(m[2])
		abi, err2 := strconv.Atoi(m[3])
		if errors.Join(err, err2) == nil { // else a number that no kernel has
			list = append(list, kernel{m[1], sub, abi})
		}
	}
	if len(list) == 0 {
		return "", errors.New("cannot find a kernel of series 6.1: apt knows no linux-image-6.1.*-amd64; its sources must have Debian 12")
	}
	newest := slices.MaxFunc(list, func(a, b kernel) int { return cmp.Or(a.sub-b.sub, a.abi-b.abi) })
	return newest.release, nil
}

// modules knows the loadable modules below one folder.
type modules struct {
	dir   string
	paths map[string]string // relative to dir, by name
}

// findModules reads a kernel's modules folder, lib/modules/RELEASE.
func findModules(dir string) (*modules, error) {
	m := &modules{dir: dir, paths: map[string]string{}}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, ok := strings.CutSuffix(d.Name(), ".ko"); ok && !d.IsDir() {
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			m.paths[moduleName(name)] = rel
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot look for kernel modules: %w", err)
	}
	if len(m.paths) == 0 {
		return nil, fmt.Errorf("cannot find kernel modules in %s: there is no file *.ko", dir)
	}
	return m, nil
}

// moduleName is a name as the kernel spells it: modprobe(8) takes - for _.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// closure lists the wanted modules and all that they need, each behind what it
// needs, as paths relative to the folder.
func (m *modules) closure(wanted []string) ([]string, error) {
	var order []string
	seen := map[string]bool{}
	var add func(name, by string) error
	add = func(name, by string) error {
		name = moduleName(name)
		if seen[name] {
			return nil
		}
		seen[name] = true
		path, ok := m.paths[name]
		if !ok {
			return fmt.Errorf("cannot find the kernel module %s, wanted by %s, in %s", name, by, m.dir)
		}
		needs, err := depends(filepath.Join(m.dir, path))
		if err != nil {
			return err
		}
		for _, n := range needs {
			if err := add(n, name); err != nil {
				return err
			}
		}
		order = append(order, path)
		return nil
	}
	for _, w := range wanted {
		if err := add(w, "us"); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// depends reads from a module's file which others it needs.
func depends(path string) ([]string, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the kernel module %s: %w", path, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	s := f.Section(".modinfo")
	if s == nil {
		return nil, fmt.Errorf("cannot read the kernel module %s: it has no .modinfo", path)
	}
	info, err := s.Data()
	if err != nil {
		return nil, fmt.Errorf("cannot read the kernel module %s: %w", path, err)
	}
	return needs(info), nil
}

// needs finds the modules in a .modinfo section: KEY=VALUE strings, each ended by a
// zero byte, of which depends=a,b is one (kernel, include/linux/moduleparam.h).
func needs(info []byte) []string {
	for field := range strings.SplitSeq(string(info), "\x00") {
		if list, ok := strings.CutPrefix(field, "depends="); ok && list != "" {
			return slices.DeleteFunc(strings.Split(list, ","), func(s string) bool { return s == "" })
		}
	}
	return nil
}

// builtin lists the modules that are part of the kernel itself.
func builtin(dir string) (map[string]bool, error) {
	f, err := os.Open(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, fmt.Errorf("cannot read what the kernel has built in: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	out := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		out[moduleName(strings.TrimSuffix(filepath.Base(lines.Text()), ".ko"))] = true
	}
	return out, lines.Err()
}
