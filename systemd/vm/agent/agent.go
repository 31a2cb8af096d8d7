// Package agent is the hand inside the virtual machine: it runs commands, writes
// files such as sysfs's, says who has devices open and carries connections across
// the machine's border. Server runs inside, Client asks it from outside.
//
// It does whatever it is told, as root: it is for a machine that is thrown away and
// whose network nobody else can reach. Imports: standard library only.
package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Command is one program to run, to its end.
type Command struct {
	Args    []string `json:"args"`    // the program first
	Seconds float64  `json:"seconds"` // after which it is killed, with all that it started
}

// Result is how it ended.
type Result struct {
	Code    int           `json:"code"`   // its exit status; -1: a signal ended it
	Output  string        `json:"output"` // stdout and stderr, at most 64 KiB of it
	Elapsed time.Duration `json:"elapsed"`
}

// File is text to be written into a file that is there, in one write(2).
type File struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Bounds of the agent.
const (
	maxOutput   = 64 << 10
	maxAnswer   = 1 << 20 // JSON writes a byte in six at most
	maxBody     = 64 << 10
	mostSeconds = 120
	stopWithin  = 2 * time.Second
	pipeWait    = time.Second // for the output of what outlives a command
)

// Server answers on one listener until ctx ends.
func Server(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /alive", func(w http.ResponseWriter, _ *http.Request) { answer(w, struct{}{}, nil) })
	mux.HandleFunc("POST /run", func(w http.ResponseWriter, r *http.Request) {
		var c Command
		if take(w, r, &c) {
			out, err := run(r.Context(), c)
			answer(w, out, err)
		}
	})
	mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) {
		var f File
		if take(w, r, &f) {
			answer(w, struct{}{}, write(f))
		}
	})
	mux.HandleFunc("GET /open", func(w http.ResponseWriter, _ *http.Request) {
		list, err := Holders("/proc", "/dev/video", "/dev/snd/")
		answer(w, list, err)
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot go on answering: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	err := s.Shutdown(stop)
	if err != nil {
		err = errors.Join(fmt.Errorf("cannot end the agent in time: %w", err), s.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// take decodes a request's body, or answers that it cannot.
func take(w http.ResponseWriter, r *http.Request, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(into)
	if err != nil {
		http.Error(w, "cannot understand the request: "+err.Error(), http.StatusBadRequest)
	}
	return err == nil
}

func answer(w http.ResponseWriter, what any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what) // who asked and went away does not matter
}

// run runs a command in a process group of its own and kills all of it when its
// time is over or nobody waits for it any more.
func run(ctx context.Context, c Command) (Result, error) {
	if len(c.Args) == 0 || c.Seconds <= 0 || c.Seconds > mostSeconds {
		return Result{}, fmt.Errorf("cannot run this: it takes a program and at most %d seconds", mostSeconds)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Seconds*float64(time.Second)))
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...) //nolint:gosec // running what it is told is its purpose
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeWait
	out := &capped{left: maxOutput}
	cmd.Stdout, cmd.Stderr = out, out
	began := time.Now()
	err := cmd.Run()
	r := Result{Output: out.text(), Elapsed: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("cannot wait for %s: it took longer than %v; it said: %s", c.Args[0], r.Elapsed.Round(time.Millisecond), r.Output)
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	case err != nil:
		return r, fmt.Errorf("cannot run %s: %w", c.Args[0], err)
	}
	return r, nil
}

// write writes once: an attribute of sysfs takes each write for a whole value.
func write(f File) error {
	file, err := os.OpenFile(f.Path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot open a file to write: %w", err)
	}
	if _, err := file.WriteString(f.Text); err != nil {
		return errors.Join(fmt.Errorf("cannot write %q: %w", f.Text, err), file.Close())
	}
	return file.Close()
}

// capped keeps the beginning of what is written.
type capped struct {
	mu   sync.Mutex
	b    bytes.Buffer
	left int
}

// Write takes everything and keeps what there is room for.
func (c *capped) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), c.left)
	c.b.Write(p[:n])
	c.left -= n
	return len(p), nil
}

func (c *capped) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.String()
}

// Client asks a Server. Close frees its kept connections.
type Client struct {
	base      string
	transport *http.Transport
	http      http.Client
}

// NewClient makes one for the server at ADDRESS:PORT.
func NewClient(address string) *Client {
	t := &http.Transport{MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
	return &Client{base: "http://" + address, transport: t, http: http.Client{Transport: t}}
}

// Close closes kept connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Alive asks whether the agent answers.
func (c *Client) Alive(ctx context.Context) error {
	return c.ask(ctx, http.MethodGet, "/alive", nil, &struct{}{})
}

// Run runs a program inside and waits for its end, at most for the given time. An
// exit status other than 0 is no error.
func (c *Client) Run(ctx context.Context, within time.Duration, args ...string) (Result, error) {
	var r Result
	return r, c.ask(ctx, http.MethodPost, "/run", Command{args, within.Seconds()}, &r)
}

// Must is Run for what has to succeed; it gives the output.
func (c *Client) Must(ctx context.Context, within time.Duration, args ...string) (string, error) {
	r, err := c.Run(ctx, within, args...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("cannot have the machine run %q: status %d: %s", args, r.Code, r.Output)
	}
	return r.Output, err
}

// Write writes into a file inside, such as one of sysfs's.
func (c *Client) Write(ctx context.Context, path, text string) error {
	return c.ask(ctx, http.MethodPost, "/write", File{path, text}, &struct{}{})
}

// Open lists who has a camera or a sound device open inside.
func (c *Client) Open(ctx context.Context) ([]Holder, error) {
	var list []Holder
	return list, c.ask(ctx, http.MethodGet, "/open", nil, &list)
}

func (c *Client) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("cannot ask the machine: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("cannot ask the machine: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask the machine: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("cannot read the machine's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the machine says: %s", bytes.TrimSpace(text))
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("cannot understand the machine's answer: %w", err)
	}
	return nil
}
