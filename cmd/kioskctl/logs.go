package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// logsCmd prints the daemon's part of the journal.
type logsCmd struct {
	Follow bool   `short:"f" help:"Go on with what comes, until Ctrl-C."`
	Lines  int    `short:"n" default:"100" help:"How many of the newest lines, at most 10000. Default: 100."`
	Since  string `help:"Only what came since then, as journalctl takes it: '1 hour ago', '2026-01-02 15:04'." placeholder:"WHEN"`
	Level  string `enum:"debug,info,warn,error" default:"debug" help:"Only lines of this level and above: debug, info, warn or error."`
	Part   string `help:"Only lines of this part of the daemon: api, backend, call, devices, session, store ..." placeholder:"NAME"`
	JSON   bool   `name:"json" help:"Print the journal's own JSON, a line each."`
}

// Bounds of what is read of the journal.
const (
	mostLines = 10_000
	mostEntry = 1 << 20 // bytes of an entry as JSON
	mostWords = 4 << 10 // bytes of journalctl's own complaints
)

// Validate refuses what nobody reads.
func (c *logsCmd) Validate() error {
	if c.Lines < 1 || c.Lines > mostLines {
		return fmt.Errorf("--lines is 1 to %d, not %d", mostLines, c.Lines)
	}
	return nil
}

// Run does it.
func (c *logsCmd) Run(e *env) error {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return errors.New("cannot read the journal: there is no journalctl on this machine; kioskd's lines go to its standard error")
	}
	ctx, cancel := context.WithCancel(e.ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, c.arguments()...) //nolint:gosec // words of ours, and one that journalctl reads as a time
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Second
	said := &bounded{most: mostWords}
	cmd.Stderr = said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("cannot read the journal: %w", err)
	}
	shown, printed := c.copy(e, out)
	if printed != nil { // nobody reads us any more
		cancel()
	}
	err = cmd.Wait()
	switch words := said.String(); {
	case printed != nil:
		return printed
	case e.ctx.Err() != nil: // Ctrl-C
		return nil
	case err != nil:
		return fmt.Errorf("cannot read the journal: %s", orElse(words, err.Error()))
	case shown == 0 && c.Since == "" && (words != "" || c.Part == "" && c.Level == "debug"): // no journal, or none for this user
		return fmt.Errorf("cannot find a line of kioskd in the journal%s: try: sudo kioskctl logs; where systemd does not run it, its lines go to its standard error", either(words != "", " ("+words+")", ""))
	}
	return nil
}

// arguments are journalctl's. It filters too, so that --lines counts what is shown.
func (c *logsCmd) arguments() []string {
	args := []string{"--unit=kioskd.service", "--output=json", "--no-pager", "--all", "--lines=" + strconv.Itoa(c.Lines)}
	if c.Follow {
		args = append(args, "--follow")
	}
	if c.Since != "" {
		args = append(args, "--since="+c.Since)
	}
	if priority := map[string]string{"info": "info", "warn": "warning", "error": "err"}[c.Level]; priority != "" {
		args = append(args, "--priority="+priority)
	}
	if c.Part != "" {
		args = append(args, partField+"="+c.Part)
	}
	return args
}

// copy prints entries as they come and tells how many came; the error is that of printing.
func (c *logsCmd) copy(e *env, from io.Reader) (came int, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, mostEntry)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		came++
		entry, ok := parseEntry(lines.Bytes())
		switch {
		case ok && (logRank(entry.level) < logRank(c.Level) || c.Part != "" && entry.fields["part"] != c.Part):
			continue
		case c.JSON || !ok:
			err = e.say("%s", strings.TrimSpace(lines.Text()))
		default:
			err = e.say("%s", entry.line())
		}
		if err != nil {
			return came, err
		}
	}
	return came, nil
}

// logRank orders levels; one that is not known counts as info.
func logRank(level string) int {
	i := slices.Index([]string{"debug", "info", "warn", "error"}, level)
	if i < 0 {
		return 1
	}
	return i
}

// bounded keeps the first bytes of what is written.
type bounded struct {
	most int
	mu   sync.Mutex
	text []byte
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text = append(b.text, p[:min(len(p), b.most-len(b.text))]...)
	return len(p), nil
}

// String is one line: "No journal files were found."
func (b *bounded) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return printable(strings.Join(strings.Fields(string(b.text)), " "))
}
