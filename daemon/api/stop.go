package api

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// lastWords is how long connections that were accepted just before the end may take to
// say what they want.
const lastWords = 100 * time.Millisecond

// open counts the connections of an http.Server, by its ConnState.
type open struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when there is none; nil: nobody waits
}

func (o *open) note(_ net.Conn, s http.ConnState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch s {
	case http.StateNew:
		o.n++
	case http.StateClosed, http.StateHijacked:
		o.n--
	default:
	}
	if o.n == 0 && o.none != nil {
		close(o.none)
		o.none = nil
	}
}

// wait waits until all are closed, for a time at most.
func (o *open) wait(most time.Duration) {
	o.mu.Lock()
	none := make(chan struct{})
	if o.n == 0 {
		close(none)
	} else {
		o.none = none
	}
	o.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	}
}

// drain ends the listening and lets those who were let in say what they want and hear
// the answer. http.Server.Shutdown drops requests that are read after it has begun,
// unanswered, and whoever knocks during a restart must not be dropped. Who comes later
// waits in the socket's queue, which systemd holds, for the next daemon.
func drain(srv *http.Server, ln net.Listener, conns *open, served <-chan struct{}) error {
	err := ln.Close()
	<-served
	srv.SetKeepAlivesEnabled(false) // idle ones are closed, the others after their answer
	conns.wait(lastWords)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("cannot close the control socket: %w", err)
	}
	return nil
}
