package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kioskd/daemon/client"
	"kioskd/systemd/promise"
	"kioskd/systemd/vm/farside"
)

// socket is the daemon's.
const socket = "/run/kioskd/control.sock"

// lab is what the rows play with.
type lab struct {
	o      options
	unit   unit // kioskd.service
	kiosk  *client.Client
	token  string
	far    *farside.Side // nil: no call
	number int           // of the newest appointment
}

// row is one promise.
type row struct {
	name  string
	short bool // part of the short form too
	play  func(context.Context, *lab) (string, error)
}

// rows are all of them. Those that the package's removal comes with are last.
func rows() []row {
	return []row{
		{"boot", true, boot},
		{"exposure and verify", true, exposure},
		{"forbidden actions", true, forbidden},
		{"doctor for a newcomer", true, newcomer},
		{"kiosk0", true, kiosk0},
		{"sealed credentials", false, sealed},
		{"settings refused, then mended", false, mended},
		{"ready", true, ready},
		{"idle", false, idle},
		{"log in the journal", true, journalFields},
		{"clock", true, clockKnown},
		{"reload in a call", true, reloadInCall},
		{"memory in a call", false, inCall},
		{"stop in every state", false, stops},
		{"restarts under load", false, restarts},
		{"crashes in a row", false, crashes},
		{"screen killed", true, screenDies},
		{"hang: session", true, hangOf("session")},
		{"hang: store", false, hangOf("store")},
		{"hang: control API", false, hangOf("api")},
		{"hang: media", false, hangOf("media")},
		{"upgrade in a call", false, upgrade},
		{"remove and purge", false, removal},
	}
}

// drive plays the rows and gives the exit code.
func drive(ctx context.Context, stdout io.Writer) (int, error) {
	text, err := os.ReadFile(filepath.Join(insideRun, "options.json"))
	l := &lab{unit: "kioskd.service", kiosk: client.New(socket)}
	if err == nil {
		err = json.Unmarshal(text, &l.o)
	}
	if err != nil {
		return 1, fmt.Errorf("cannot read what to do: %w", err)
	}
	code := l.play(ctx, stdout)
	if l.o.Hold {
		<-ctx.Done()
	}
	_, _ = fmt.Fprintf(stdout, "%s%d\n", endMark, code)
	return code, nil
}

// rowWithin bounds one row.
const rowWithin = 5 * time.Minute

func (l *lab) play(ctx context.Context, stdout io.Writer) int {
	var t promise.Table
	for _, r := range rows() {
		if l.o.Short && !r.short || !strings.Contains(r.name, l.o.Only) && r.name != "boot" {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, rowWithin)
		began := time.Now()
		figures, err := r.play(limited, l)
		cancel()
		if errors.Is(err, errLeftOut) {
			_, _ = fmt.Fprintf(stdout, "----           %-34s %v\n", r.name, err)
			continue
		}
		if err != nil {
			l.keepJournal(r.name)
		}
		t = append(t, promise.Result{Name: r.name, Figures: figures, Err: err, Took: time.Since(began)})
		_, _ = fmt.Fprintln(stdout, t[len(t)-1].Line())
		if r.name == "boot" && err != nil {
			break
		}
	}
	_, _ = fmt.Fprintln(stdout, t.Sum())
	return min(t.Failed(), 1)
}

var errLeftOut = errors.New("left out")

// keepJournal writes the service's newest lines beside the run's files.
func (l *lab) keepJournal(name string) {
	text, err := output(context.Background(), "journalctl", "-n", "400", "--no-pager", "-o", "short-precise")
	if err != nil {
		text = err.Error()
	}
	name = strings.NewReplacer(" ", "-", ":", "").Replace(name) + ".journal"
	_ = os.WriteFile(filepath.Join(insideRun, name), []byte(text), 0o600) // the row has failed already
}
