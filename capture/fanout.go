package capture

import (
	"context"
	"slices"
	"sync"
)

// Source gives pictures: a camera, or the slate.
//
// Run hands every frame with its reference to put, one at a time, until ctx ends
// or the source is lost; put must not block. It returns only when its goroutines and files are
// gone: nil after ctx ended, else why the source was lost.
type Source interface {
	Run(ctx context.Context, put func(*Frame)) error
}

// Fanout gives each frame of one source to several consumers, each through a
// mailbox of its own. The zero value is ready. It is safe for use by several
// goroutines.
type Fanout struct {
	mu    sync.Mutex
	boxes []*Mailbox
}

// Add makes a mailbox that gets every frame from now on. Its consumer ends with
// Remove.
func (o *Fanout) Add() *Mailbox {
	m := NewMailbox()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.boxes = append(o.boxes, m)
	return m
}

// Remove closes a mailbox that Add made and gives it no more frames. Removing it
// twice does no harm.
func (o *Fanout) Remove(m *Mailbox) {
	o.mu.Lock()
	if i := slices.Index(o.boxes, m); i >= 0 {
		o.boxes = slices.Delete(o.boxes, i, i+1)
	}
	o.mu.Unlock()
	m.Close()
}

// Put gives f, whose reference it takes over, to every mailbox. It never blocks.
// It fits as a Source's put.
func (o *Fanout) Put(f *Frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.boxes {
		f.Retain()
		m.Put(f)
	}
	f.Release()
}
