// Package image makes what the virtual machine boots: Debian's stock kernel, the
// modules that its initramfs loads, and a root file system of Debian 12 with
// systemd and the libraries that kioskd needs. All of it comes from apt, into one
// folder, and stays there for the next run.
//
// It owns that folder and the programs that it runs. Imported by the program that
// runs the machine. Imports: standard library only.
package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Image is what can be booted.
type Image struct {
	// Release is the kernel's, as uname -r says it.
	Release string `json:"release"`
	// Kernel and Root are files: the kernel, and a disk with ext4 on it.
	Kernel string `json:"kernel"`
	Root   string `json:"root"`
	// Modules are the files that the initramfs loads, in this order.
	Modules []string `json:"modules"`
	// Recipe is of what it was made; another one makes it anew.
	Recipe string `json:"recipe"`
}

// recipe says what goes into an image.
type recipe struct {
	Suite, Size string
	Packages    []string
	// Boot are the modules that the initramfs loads, Modules those that the machine
	// itself may load; each brings what it needs.
	Boot, Modules []string
	Hooks         []string // shell commands with the new root as $1
	Masked        []string // units that would only take time
}

func ours() recipe {
	return recipe{
		Suite: "bookworm", Size: "900M",
		Packages: []string{
			"systemd", "systemd-sysv", "udev", "kmod", "iproute2", "v4l-utils", "alsa-utils", "ca-certificates",
			"libvpx7", "libopus0", "libasound2", "libjpeg62-turbo", "libyuv0", "libstdc++6",
		},
		Boot:    []string{"virtio_pci", "virtio_blk", "crc32c_generic", "ext4"},
		Modules: []string{"virtio_net", "vivid", "snd-aloop"},
		Hooks: []string{
			`: > "$1/etc/machine-id"`,
		},
		Masked: []string{
			"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
			"fstrim.timer", "getty@tty1.service", "systemd-timesyncd.service", "systemd-update-utmp.service", "alsa-restore.service", "alsa-state.service",
		},
	}
}

// hash names a recipe.
func (r recipe) hash() (string, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("cannot name the image's recipe: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// Builder makes images.
type Builder struct {
	// Dir keeps them; what else is in it may be removed at any time.
	Dir string
	// Out is told what takes its time.
	Out io.Writer
}

// stamp is the file that says that an image is whole.
const stamp = "image.json"

// Get gives the image that is there, or makes one: with fresh, always. Making one
// needs root, the network and a minute or two.
func (b Builder) Get(ctx context.Context, fresh bool) (Image, error) {
	if !fresh {
		if i, err := b.Kept(); err == nil {
			return i, nil
		}
	}
	r := ours()
	hash, err := r.hash()
	if err != nil {
		return Image{}, err
	}
	return b.build(ctx, r, hash)
}

// Kept gives the image that is there, whole and made by this very recipe.
func (b Builder) Kept() (Image, error) {
	var i Image
	hash, err := ours().hash()
	if err != nil {
		return i, err
	}
	text, err := os.ReadFile(filepath.Join(b.Dir, stamp))
	if err == nil {
		err = json.Unmarshal(text, &i)
	}
	if err != nil {
		return i, fmt.Errorf("cannot use the image that is there: %w", err)
	}
	if i.Recipe != hash {
		return i, errors.New("cannot use the image that is there: it was made by another recipe")
	}
	for _, f := range append([]string{i.Kernel, i.Root}, i.Modules...) {
		if _, err := os.Stat(f); err != nil {
			return i, fmt.Errorf("cannot use the image that is there: %w", err)
		}
	}
	return i, nil
}

func (b Builder) build(ctx context.Context, r recipe, hash string) (Image, error) {
	dir, err := filepath.Abs(b.Dir)
	if err != nil {
		return Image{}, fmt.Errorf("cannot make the image: %w", err)
	}
	// The stamp goes first, and comes last.
	if err := os.RemoveAll(filepath.Join(dir, stamp)); err != nil {
		return Image{}, fmt.Errorf("cannot make the image anew: %w", err)
	}
	kernel, root := filepath.Join(dir, "kernel"), filepath.Join(dir, "root")
	for _, d := range []string{kernel, root} {
		if err := errors.Join(os.RemoveAll(d), os.MkdirAll(d, 0o755)); err != nil { //nolint:gosec // a system's root is for all its users
			return Image{}, fmt.Errorf("cannot make the image anew: %w", err)
		}
	}
	i := Image{Recipe: hash, Root: filepath.Join(dir, "root.ext4")}
	if i.Release, err = b.fetchKernel(ctx, dir, kernel); err != nil {
		return i, err
	}
	i.Kernel = filepath.Join(kernel, "boot", "vmlinuz-"+i.Release)
	if err := b.makeRoot(ctx, r, root); err != nil {
		return i, err
	}
	if i.Modules, err = b.addModules(ctx, r, i.Release, kernel, root); err != nil {
		return i, err
	}
	if err := b.makeDisk(ctx, r, root, i.Root); err != nil {
		return i, err
	}
	text, err := json.MarshalIndent(i, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, stamp), text, 0o644) //nolint:gosec // names of files
	}
	if err != nil {
		return i, fmt.Errorf("cannot keep the image: %w", err)
	}
	return i, os.RemoveAll(root)
}

// fetchKernel downloads the newest kernel and unpacks it.
func (b Builder) fetchKernel(ctx context.Context, dir, into string) (string, error) {
	if _, err := b.run(ctx, dir, "apt-get", "-qq", "update"); err != nil {
		return "", err
	}
	names, err := b.run(ctx, dir, "apt-cache", "pkgnames", "linux-image-6.1.")
	if err != nil {
		return "", err
	}
	release, err := newest(names)
	if err != nil {
		return "", err
	}
	b.say("kernel " + release)
	pattern := filepath.Join(dir, "linux-image-"+release+"_*.deb")
	debs, err := filepath.Glob(pattern)
	if err == nil && len(debs) == 0 {
		if _, err := b.run(ctx, dir, "apt-get", "-qq", "download", "linux-image-"+release); err != nil {
			return "", err
		}
		debs, err = filepath.Glob(pattern)
	}
	if err != nil || len(debs) == 0 {
		return "", errors.Join(fmt.Errorf("cannot find the package of kernel %s in %s", release, dir), err)
	}
	_, err = b.run(ctx, dir, "dpkg-deb", "-x", slices.Max(debs), into)
	return release, err
}

// makeRoot fills a folder with Debian.
func (b Builder) makeRoot(ctx context.Context, r recipe, root string) error {
	b.say("root file system of Debian " + r.Suite)
	args := []string{
		"--variant=minbase", "--mode=root", "--format=directory", "--include=" + strings.Join(r.Packages, ","),
		`--aptopt=Acquire::Languages "none"`, `--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
	}
	for _, h := range r.Hooks {
		args = append(args, "--customize-hook="+h)
	}
	args = append(args, r.Suite, root)
	if s := debianSources("/"); s != "" {
		args = append(args, s)
	}
	if _, err := b.run(ctx, ".", "mmdebstrap", args...); err != nil {
		return err
	}
	for _, u := range r.Masked {
		// systemd.unit(5): a unit that is a link to /dev/null is masked.
		link := filepath.Join(root, "etc/systemd/system", u)
		if err := os.Symlink("/dev/null", link); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("cannot mask %s: %w", u, err)
		}
	}
	return nil
}

// debianSources is the machine's own list of Debian's archives, so that a mirror it
// uses is used here too; "" where it has none of its own.
func debianSources(root string) string {
	for _, f := range []string{"etc/apt/sources.list.d/debian.sources", "etc/apt/sources.list"} {
		path := filepath.Join(root, f)
		if s, err := os.Stat(path); err == nil && s.Size() > 0 {
			return path
		}
	}
	return ""
}

// addModules copies the modules into the root and lists those of the initramfs.
func (b Builder) addModules(ctx context.Context, r recipe, release, kernel, root string) ([]string, error) {
	from := filepath.Join(kernel, "lib/modules", release)
	to := filepath.Join(root, "lib/modules", release)
	m, err := findModules(from)
	if err != nil {
		return nil, err
	}
	inside, err := builtin(from)
	if err != nil {
		return nil, err
	}
	loadable := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return inside[moduleName(n)] })
	}
	boot, err := m.closure(loadable(r.Boot))
	if err != nil {
		return nil, err
	}
	all, err := m.closure(loadable(append(slices.Clone(r.Boot), r.Modules...)))
	if err != nil {
		return nil, err
	}
	for _, path := range append(slices.Clone(all), "modules.builtin", "modules.builtin.modinfo", "modules.order") {
		if err := copyFile(filepath.Join(from, path), filepath.Join(to, path)); err != nil {
			return nil, err
		}
	}
	if _, err := b.run(ctx, ".", "chroot", root, "/sbin/depmod", release); err != nil {
		return nil, err
	}
	for i, path := range boot {
		boot[i] = filepath.Join(from, path)
	}
	return boot, nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755) //nolint:gosec // a system's files are for all its users
	}
	if err == nil {
		err = os.WriteFile(to, content, 0o644) //nolint:gosec // as above
	}
	if err != nil {
		return fmt.Errorf("cannot copy %s into the image: %w", from, err)
	}
	return nil
}

// makeDisk makes a file with ext4 of the root, without mounting anything.
func (b Builder) makeDisk(ctx context.Context, r recipe, root, disk string) error {
	b.say("disk")
	if err := os.RemoveAll(disk); err != nil {
		return fmt.Errorf("cannot make the disk anew: %w", err)
	}
	_, err := b.run(ctx, ".", "mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", root, disk, r.Size)
	return err
}

func (b Builder) say(what string) { _, _ = fmt.Fprintln(b.Out, "image:", what) }

// run runs a program in a folder and gives what it printed. Its error has the end
// of what it complained of.
func (b Builder) run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own recipe, in our own folder
	cmd.Dir = dir
	// mke2fs and chroot are in sbin, which a user's PATH may lack.
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(complaints.String()), "\n")
		return "", fmt.Errorf("cannot run %s for the image: %w\n%s", name, err, strings.Join(lines[max(0, len(lines)-10):], "\n"))
	}
	return out.String(), nil
}
