package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kioskd/systemd/promise"
)

// fresh, as -root, is a new Debian 12.
const fresh = "fresh"

// freshPackages are what a kiosk has before ours comes.
const freshPackages = "systemd,systemd-sysv,dbus,ca-certificates"

// freshRoot gives a Debian 12 into which apt has installed the package. The Debian
// before that is kept in the run's folder; what apt fetches comes from the network.
func freshRoot(ctx context.Context, o options, stdout io.Writer) (string, error) {
	base, root := filepath.Join(o.Dir, "debian"), filepath.Join(o.Dir, "debian-run")
	stamp := base + ".made"
	if made, err := os.ReadFile(stamp); err != nil || string(made) != freshPackages {
		_, _ = fmt.Fprintln(stdout, "fresh root: making a Debian 12")
		if err := errors.Join(os.RemoveAll(stamp), os.RemoveAll(base)); err != nil {
			return "", fmt.Errorf("cannot make a Debian anew: %w", err)
		}
		args := []string{
			"--variant=minbase", "--mode=root", "--format=directory", "--include=" + freshPackages,
			`--aptopt=Acquire::Languages "none"`, "bookworm", base,
		}
		if s := sources(); s != "" {
			args = append(args, s)
		}
		if err := tool(ctx, "mmdebstrap", args...); err != nil {
			return "", err
		}
		if err := os.WriteFile(stamp, []byte(freshPackages), 0o600); err != nil {
			return "", fmt.Errorf("cannot keep the Debian: %w", err)
		}
	}
	began := time.Now()
	if err := os.RemoveAll(root); err != nil {
		return "", fmt.Errorf("cannot clear the root of the last run: %w", err)
	}
	if err := tool(ctx, "cp", "-a", "--reflink=auto", base, root); err != nil {
		return "", err
	}
	before, err := installed(ctx, root)
	if err != nil {
		return "", err
	}
	for _, step := range [][]string{
		{"cp", "/etc/resolv.conf", filepath.Join(root, "etc/resolv.conf")},
		{"cp", o.Deb, filepath.Join(root, "root", filepath.Base(o.Deb))},
		{"chroot", root, "apt-get", "-qq", "update"},
		{"chroot", root, "apt-get", "-qq", "install", "-y", "--no-install-recommends", "/root/" + filepath.Base(o.Deb)},
	} {
		if err := tool(ctx, step[0], step[1:]...); err != nil {
			return "", err
		}
	}
	after, err := installed(ctx, root)
	_, _ = fmt.Fprintln(stdout, promise.Result{Name: "apt install into a fresh Debian 12", Figures: fmt.Sprintf("%d packages before, %d after", before, after), Err: err, Took: time.Since(began)}.Line())
	return root, err
}

func installed(ctx context.Context, root string) (int, error) {
	out, err := exec.CommandContext(ctx, "dpkg-query", "--admindir="+filepath.Join(root, "var/lib/dpkg"), "-W").Output() //nolint:gosec // our own folder
	if err != nil {
		return 0, fmt.Errorf("cannot count the packages: %w", err)
	}
	return strings.Count(string(out), "\n"), nil
}

// sources is the machine's own list of Debian's archives, so that a mirror it uses is
// used here too; "" where it has none of its own.
func sources() string {
	for _, path := range []string{"/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"} {
		if s, err := os.Stat(path); err == nil && s.Size() > 0 {
			return path
		}
	}
	return ""
}

func tool(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // our own arguments
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run %s: %w\n%s", name, err, out)
	}
	return nil
}
