package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

var errEnough = errors.New("enough")

func TestRootWatchGivesTheSnapshotAndWhatFollows(t *testing.T) {
	k, c := start(t)
	var names []string
	err := c.Watch(deadline(t), func(e apitype.Event) error {
		if names = append(names, e.Name); len(names) == 1 {
			k.API.Changed()
			return nil
		}
		return errEnough
	})
	if !errors.Is(err, errEnough) || strings.Join(names, " ") != "snapshot change" {
		t.Errorf("got %q, %v", names, err)
	}
}

func TestRootWatchEndsWithTheDaemonAndWithTheContext(t *testing.T) {
	k, err := apitest.Start()
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(k.Socket)
	defer c.Close()
	ctx, cancel := context.WithCancel(deadline(t))
	if err := c.Watch(ctx, func(apitype.Event) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after a cancel: %v", err)
	}
	closed := make(chan error, 1)
	err = c.Watch(deadline(t), func(apitype.Event) error {
		go func() { closed <- k.Close() }()
		return nil
	})
	if !errors.Is(err, io.EOF) {
		t.Errorf("after the daemon's stop: %v", err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestRootFollowGoesOnAfterARestart: the daemon ends and starts anew; the
// follower gets the new one's snapshot.
func TestRootFollowGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	k, err := apitest.StartAt(socket)
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(socket)
	defer c.Close()
	losses, snapshots := 0, 0
	var ids []string
	restart := make(chan error, 1)
	err = c.Follow(deadline(t), func(error) { losses++ }, func(e apitype.Event) error {
		ids = append(ids, e.ID)
		if e.Name == apitype.EventSnapshot {
			snapshots++
		}
		if snapshots == 2 {
			return errEnough
		}
		if len(ids) == 1 {
			go func() {
				err := k.Close()
				if err == nil {
					k, err = apitest.StartAt(socket)
				}
				restart <- err
			}()
		}
		return nil
	})
	if !errors.Is(err, errEnough) || losses == 0 {
		t.Errorf("it ended with %v after %d losses", err, losses)
	}
	if err := <-restart; err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	first, _, _ := strings.Cut(ids[0], "-")
	last, _, _ := strings.Cut(ids[len(ids)-1], "-")
	if first == last {
		t.Errorf("two starts have the same epoch: %q", ids)
	}
}

// record serves one text after the other as an event stream, and gives the
// heads of the requests.
func record(t *testing.T, texts []string) (heads <-chan string, c *client.Client) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	noted, done := make(chan string, len(texts)), make(chan struct{})
	go func() {
		defer close(done)
		for _, text := range texts {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			head := make([]byte, 4096)
			n, _ := conn.Read(head)
			noted <- string(head[:n])
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"+text)
			_ = conn.Close()
		}
	}()
	c = client.New(socket)
	t.Cleanup(func() { c.Close(); _ = ln.Close(); <-done })
	return noted, c
}

func TestFollowResumesAndDropsTheIDWhenItLagged(t *testing.T) {
	texts := []string{
		"id: a-1\nevent: snapshot\ndata: {}\n\nid: a-2\nevent: change\ndata: {}\n\n",
		"id: a-3\nevent: change\ndata: {}\n\nevent: lagging\ndata: {}\n\n",
		"id: a-9\nevent: snapshot\ndata: {}\n\n",
	}
	heads, c := record(t, texts)
	var ids []string
	err := c.Follow(deadline(t), nil, func(e apitype.Event) error {
		if ids = append(ids, e.ID); e.ID == "a-9" {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || strings.Join(ids, " ") != "a-1 a-2 a-3 a-9" {
		t.Errorf("got %q, %v", ids, err)
	}
	for i, want := range []string{"", "Last-Event-Id: a-2", ""} {
		if head := <-heads; (want == "") == strings.Contains(head, "Last-Event-Id") || !strings.Contains(head, want) {
			t.Errorf("request %d is %q, want %q in it", i, head, want)
		}
	}
}

func TestFollowEndsWhereItIsRefused(t *testing.T) {
	c := serve(t, "HTTP/1.1 403 Forbidden\r\nContent-Length: 55\r\n\r\n"+`{"status":403,"code":"forbidden","detail":"cannot see"}`)
	err := c.Follow(deadline(t), nil, nil)
	var p *apitype.Problem
	if !errors.As(err, &p) || p.Code != "forbidden" {
		t.Errorf("got %v", err)
	}
}

func TestFollowTellsEachLossUntilTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(deadline(t))
	losses := 0
	err := client.New(filepath.Join(t.TempDir(), "none")).Follow(ctx, func(err error) {
		if losses++; losses == 3 {
			cancel()
		}
		if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, os.ErrNotExist) {
			t.Errorf("lost: %v", err)
		}
	}, nil)
	if !errors.Is(err, context.Canceled) || losses != 3 {
		t.Errorf("ended with %v after %d losses", err, losses)
	}
}
