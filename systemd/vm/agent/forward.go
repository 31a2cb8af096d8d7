package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// maxForwards bounds the connections of one Forward.
const maxForwards = 64

// Forward carries what comes in on ln to where dial leads, until ctx ends, and
// returns when every connection is closed. One that cannot be carried is closed.
func Forward(ctx context.Context, ln net.Listener, dial func(context.Context) (net.Conn, error)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	free := make(chan struct{}, maxForwards)
	for {
		in, err := ln.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = in.Close() // it came too late
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot go on forwarding: %w", errors.Join(err, ln.Close()))
		}
		select {
		case free <- struct{}{}:
			wg.Go(func() {
				defer func() { <-free }()
				carry(ctx, in, dial)
			})
		default:
			_ = in.Close() // too many
		}
	}
}

// closeWriter is half of a connection's end; TCP and Unix connections have it.
type closeWriter interface{ CloseWrite() error }

// carry copies both ways until both sides have ended, or ctx has.
func carry(ctx context.Context, in net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer in.Close() // what could be carried was
	out, err := dial(ctx)
	if err != nil {
		return
	}
	defer out.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = in.Close(), out.Close() })
	defer stop()
	var wg sync.WaitGroup
	copyOne := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if w, ok := to.(closeWriter); ok && err == nil {
			_ = w.CloseWrite() // gone already
			return
		}
		_, _ = in.Close(), out.Close()
	}
	wg.Go(func() { copyOne(out, in) })
	wg.Go(func() { copyOne(in, out) })
	wg.Wait()
}
