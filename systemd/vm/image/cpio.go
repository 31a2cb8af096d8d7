package image

import (
	"fmt"
	"io"
	"path"
	"strings"
)

// File types of stat(2)'s st_mode.
const (
	typeMask    = 0o170000
	typeDir     = 0o040000
	typeRegular = 0o100000
	typeLink    = 0o120000
)

// Archive writes an initramfs: a cpio archive in the format "newc" (kernel
// documentation, "initramfs buffer format"), everything root's. Folders are made as
// they are needed. Finish it with Close; the first error of the writer stays.
type Archive struct {
	w     io.Writer
	at    int64
	inode int
	dirs  map[string]bool
	err   error
}

// NewArchive starts one on w.
func NewArchive(w io.Writer) *Archive { return &Archive{w: w, dirs: map[string]bool{}} }

// File adds a regular file with the permission bits of mode.
func (a *Archive) File(name string, mode uint32, content []byte) {
	a.parents(name)
	a.entry(name, typeRegular|mode&0o7777, content)
}

// Link adds a symbolic link.
func (a *Archive) Link(name, target string) {
	a.parents(name)
	a.entry(name, typeLink|0o777, []byte(target))
}

// Dir adds a folder.
func (a *Archive) Dir(name string) {
	a.parents(name)
	a.dir(name)
}

// Close ends the archive and says whether all of it was written.
func (a *Archive) Close() error {
	a.entry("TRAILER!!!", 0, nil)
	if a.err != nil {
		return fmt.Errorf("cannot write the initramfs: %w", a.err)
	}
	return nil
}

// parents adds the folders above name that are not there yet.
func (a *Archive) parents(name string) {
	name = clean(name)
	for i, c := range name {
		if c == '/' {
			a.dir(name[:i])
		}
	}
}

func (a *Archive) dir(name string) {
	if name = clean(name); name != "" && !a.dirs[name] {
		a.dirs[name] = true
		a.entry(name, typeDir|0o755, nil)
	}
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// entry writes one header, its name and its content, each padded to 4 bytes.
func (a *Archive) entry(name string, mode uint32, content []byte) {
	name = clean(name)
	a.inode++
	links := 1
	if mode&typeMask == typeDir {
		links = 2
	}
	// magic, inode, mode, uid, gid, nlink, mtime, filesize, device and rdevice (major,
	// minor each), namesize with its zero byte, check.
	fields := []int{a.inode, int(mode), 0, 0, links, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0}
	var b strings.Builder
	b.WriteString("070701")
	for _, f := range fields {
		fmt.Fprintf(&b, "%08X", f)
	}
	b.WriteString(name + "\x00")
	a.write([]byte(b.String()))
	a.pad()
	a.write(content)
	a.pad()
}

func (a *Archive) pad() { a.write(make([]byte, (4-a.at%4)%4)) }

func (a *Archive) write(b []byte) {
	if a.err != nil || len(b) == 0 {
		return
	}
	n, err := a.w.Write(b)
	a.at += int64(n)
	a.err = err
}
