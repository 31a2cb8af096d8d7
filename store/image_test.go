package store

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// sector is what a disk writes whole or not at all.
const sector = 512

// platter is a disk with a cache in front of it, which a power cut empties: what was
// not synced may be there or not, in any order, and by halves.
type platter struct {
	root   string             // was there before
	files  map[int][]byte     // what is on the disk for sure
	names  map[string]int     // the same of names; directories are 0
	wet    map[int][]event    // writes and sizes that are not synced
	named  map[string][]event // changes of names that are not synced, by directory
	forget func(event) bool   // syncs that do nothing: for the negative controls
}

func newPlatter(root string, forget func(event) bool) *platter {
	return &platter{root: root, files: map[int][]byte{}, names: map[string]int{root: 0}, wet: map[int][]event{}, named: map[string][]event{}, forget: forget}
}

// take does one event.
func (p *platter) take(e event) {
	switch e.op {
	case "write", "size":
		p.wet[e.file] = append(p.wet[e.file], e)
	case "create", "mkdir", "rename", "remove":
		dir := filepath.Dir(e.path)
		p.named[dir] = append(p.named[dir], e)
	case "sync", "syncdir":
		if p.forget != nil && p.forget(e) {
			return
		}
		if e.op == "syncdir" {
			rename(p.names, p.named[e.path])
			delete(p.named, e.path)
			return
		}
		p.files[e.file] = apply(p.files[e.file], p.wet[e.file])
		delete(p.wet, e.file)
	}
}

// pending says whether a power cut now leaves a choice.
func (p *platter) pending() bool { return len(p.wet) > 0 || len(p.named) > 0 }

// cut makes the image of one power cut: paths and contents; directories are nil.
func (p *platter) cut(rnd *rand.Rand) map[string][]byte {
	names := maps.Clone(p.names)
	for _, dir := range slices.Sorted(maps.Keys(p.named)) { // a directory's own name comes before those in it
		rename(names, choose(rnd, p.named[dir], rnd.IntN(2) == 0))
	}
	image := map[string][]byte{}
	for path, file := range names {
		if p.lost(names, path) {
			continue
		}
		if file == 0 {
			image[path] = nil
			continue
		}
		image[path] = apply(p.files[file], tear(rnd, choose(rnd, p.wet[file], false)))
	}
	return image
}

// lost says whether a directory above a path is gone, and all in it.
func (p *platter) lost(names map[string]int, path string) bool {
	for path != p.root {
		path = filepath.Dir(path)
		if _, there := names[path]; !there {
			return true
		}
	}
	return false
}

// choose takes some of the events: none, all or each by chance; with ordered those up
// to one of them, as a journaling file system does with names.
func choose(rnd *rand.Rand, list []event, ordered bool) []event {
	if ordered {
		return list[:rnd.IntN(len(list)+1)]
	}
	chance := []float64{0, 0.2, 0.5, 0.8, 1}[rnd.IntN(5)]
	var kept []event
	for _, e := range list {
		if rnd.Float64() < chance {
			kept = append(kept, e)
		}
	}
	return kept
}

// tear writes in any order, and some of the writes by halves.
func tear(rnd *rand.Rand, list []event) []event {
	var torn []event
	for _, e := range list {
		if e.op != "write" || len(e.data) <= sector || rnd.IntN(3) > 0 {
			torn = append(torn, e)
			continue
		}
		for at := 0; at < len(e.data); at += sector {
			if rnd.IntN(2) == 0 {
				torn = append(torn, event{op: "write", off: e.off + int64(at), data: e.data[at:min(at+sector, len(e.data))]})
			}
		}
	}
	rnd.Shuffle(len(torn), func(i, j int) { torn[i], torn[j] = torn[j], torn[i] })
	return torn
}

// apply does writes and sizes to a file's bytes, which it does not change.
func apply(old []byte, list []event) []byte {
	b := append(make([]byte, 0, len(old)), old...)
	grow := func(n int64) {
		if n > int64(len(b)) {
			b = append(b, make([]byte, n-int64(len(b)))...)
		}
	}
	for _, e := range list {
		if e.op == "size" {
			grow(e.off)
			b = b[:e.off]
			continue
		}
		grow(e.off + int64(len(e.data)))
		copy(b[e.off:], e.data)
	}
	return b
}

// rename does changes of names.
func rename(names map[string]int, list []event) {
	for _, e := range list {
		switch e.op {
		case "create", "mkdir":
			names[e.path] = e.file
		case "rename":
			delete(names, e.path)
			names[e.to] = e.file
		case "remove":
			delete(names, e.path)
		}
	}
}

// lay writes an image into a directory, in the place of root.
func lay(image map[string][]byte, root, to string) error {
	for _, path := range slices.Sorted(maps.Keys(image)) {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		at, data := filepath.Join(to, rel), image[path]
		if data == nil {
			err = os.MkdirAll(at, 0o700)
		} else {
			err = os.WriteFile(at, data, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
