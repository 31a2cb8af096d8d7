package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kioskd/daemon/api/apitype"
)

// desk is a kiosk's devices on a Unix socket, for what no real one can be made to
// show at will: every state, a level of exactly nothing, a picture of known
// points. It speaks the API's own types; the real daemon plays testdata/script.
type desk struct {
	mu      sync.Mutex
	devices []apitype.Device
	picture []byte
	levels  []apitype.Level
	ends    *apitype.Problem // after the levels; nil: the stream stays open
	fails   *apitype.Problem // of every tool
	seen    []string         // what was asked for: "POST /v1/devices/x/tone {...}"
	asked   chan struct{}    // one a tool that was asked, dropped where nobody takes it

	server *http.Server
	ended  chan error
}

func openDesk(socket string, devices []apitype.Device) (*desk, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, err
	}
	d := &desk{devices: devices, picture: testJPEG(64, 36), ended: make(chan error, 1), asked: make(chan struct{}, 64)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apitype.RouteDevices, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, apitype.Devices{Devices: d.devices})
	})
	mux.HandleFunc("PUT "+apitype.RouteDevice+"{id}/{what}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "roles" {
			d.setRole(w, r)
			return
		}
		d.setControls(w, r)
	})
	mux.HandleFunc("GET "+apitype.RouteDevice+"{id}/snapshot", d.tool(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", apitype.TypeJPEG)
		_, _ = w.Write(d.picture)
	}))
	mux.HandleFunc("GET "+apitype.RouteDevice+"{id}/level", d.tool(d.level))
	mux.HandleFunc("POST "+apitype.RouteDevice+"{id}/tone", d.tool(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	}))
	d.server = &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		r.Body = http.NoBody
		d.mu.Lock()
		d.seen = append(d.seen, r.Method+" "+r.URL.Path+" "+body.String())
		d.mu.Unlock()
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), bodyKey{}, body.Bytes())))
	})}
	go func() { d.ended <- d.server.Serve(ln) }()
	return d, nil
}

type bodyKey struct{}

func bodyOf(r *http.Request, into any) {
	_ = json.Unmarshal(r.Context().Value(bodyKey{}).([]byte), into)
}

func (d *desk) close() error {
	err := d.server.Close()
	<-d.ended
	return err
}

// set changes the desk while it is open.
func (d *desk) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", apitype.TypeJSON)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, p *apitype.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func (d *desk) setRole(w http.ResponseWriter, r *http.Request) {
	var body apitype.RoleRequest
	bodyOf(r, &body)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.devices {
		switch {
		case d.devices[i].ID == body.Device:
			d.devices[i].Role = r.PathValue("what")
		case d.devices[i].Role == r.PathValue("what"):
			d.devices[i].Role = ""
		}
	}
	answer(w, apitype.Devices{Devices: d.devices})
}

func (d *desk) setControls(w http.ResponseWriter, r *http.Request) {
	var body apitype.ControlsRequest
	bodyOf(r, &body)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dev := range d.devices {
		if dev.ID != r.PathValue("id") {
			continue
		}
		for i, c := range dev.Controls {
			v, ok := body.Controls[c.Name]
			if ok && (v < c.Min || v > c.Max || (v-c.Min)%c.Step != 0) {
				refuse(w, apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlValue,
					fmt.Sprintf("cannot set %s to %d", c.Name, v), fmt.Sprintf("it goes from %d to %d in steps of %d", c.Min, c.Max, c.Step)))
				return
			}
			if ok {
				dev.Controls[i].Value, dev.Controls[i].Kept = v, true
			}
		}
		answer(w, apitype.DeviceControls{Controls: dev.Controls})
	}
}

// tool is refused where the desk says so.
func (d *desk) tool(do http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		fails := d.fails
		d.mu.Unlock()
		if fails != nil {
			refuse(w, fails)
		} else {
			do(w, r)
		}
		select {
		case d.asked <- struct{}{}:
		default:
		}
	}
}

func (d *desk) level(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", apitype.TypeEventStream)
	for _, l := range d.levels {
		b, _ := json.Marshal(l)
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", apitype.EventLevel, b)
	}
	if d.ends != nil {
		b, _ := json.Marshal(d.ends)
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", apitype.EventEnded, b)
		return
	}
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

type deskKey struct{}

// TestDeskScripts runs testdata/desk/*.txtar, each against a desk of its own.
// Commands: levels PEAK[*N] ... (what the microphone gives, 100 ms each), ends CODE
// SENTENCE (after them), fails CODE SENTENCE (every tool), bare (no device at all), speaker (there is one),
// asked TEXT (the kiosk was asked for it).
func TestDeskScripts(t *testing.T) {
	of := func(ts *testscript.TestScript) *desk { return ts.Value(deskKey{}).(*desk) }
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/desk",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			socket := filepath.Join(env.WorkDir, "s")
			d, err := openDesk(socket, clinicDesk())
			if err != nil {
				return err
			}
			env.Values[deskKey{}] = d
			env.Setenv("KIOSKD_SOCKET", socket)
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Defer(func() {
				if err := d.close(); err != nil {
					env.T().Fatal(err)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"levels": func(ts *testscript.TestScript, _ bool, args []string) {
				var peaks []float64
				for _, a := range args {
					peak, times, n := 0.0, 1, 0
					n, _ = fmt.Sscanf(a, "%g*%d", &peak, &times)
					if n == 0 {
						ts.Fatalf("%q is no level", a)
					}
					peaks = append(peaks, repeat(peak, times)...)
				}
				of(ts).set(func() { of(ts).levels = levelsOf(peaks...) })
			},
			"ends": func(ts *testscript.TestScript, _ bool, args []string) {
				of(ts).set(func() { of(ts).ends = apitype.NewProblem(409, args[0], args[1], "") })
			},
			"fails": func(ts *testscript.TestScript, _ bool, args []string) {
				of(ts).set(func() { of(ts).fails = apitype.NewProblem(409, args[0], args[1], "") })
			},
			"bare": func(ts *testscript.TestScript, _ bool, _ []string) {
				of(ts).set(func() { of(ts).devices = []apitype.Device{} })
			},
			"speaker": func(ts *testscript.TestScript, _ bool, _ []string) {
				of(ts).set(func() {
					of(ts).devices = append(of(ts).devices, apitype.Device{ID: "hdmi-0", Kind: apitype.KindSpeaker, Name: "Screen", Present: true, State: apitype.DeviceOK})
				})
			},
			"asked": func(ts *testscript.TestScript, _ bool, args []string) {
				of(ts).set(func() {
					if all := strings.Join(of(ts).seen, "\n"); !strings.Contains(all, args[0]) {
						ts.Fatalf("it was asked for this only:\n%s", all)
					}
				})
			},
		},
	})
}

// levelsOf gives levels of 100 ms each, from nine o'clock on.
func levelsOf(peaks ...float64) []apitype.Level {
	var out []apitype.Level
	at := time.Date(2026, 1, 2, 9, 0, 0, 0, time.Local)
	for i, p := range peaks {
		out = append(out, apitype.Level{Peak: p, RMS: p / 2, At: at.Add(time.Duration(i+1) * 100 * time.Millisecond)})
	}
	return out
}

func repeat(v float64, n int) []float64 {
	var out []float64
	for range n {
		out = append(out, v)
	}
	return out
}

// testPicture is red, green, blue and white in quarters.
func testPicture(w, h int) *image.RGBA {
	p := image.NewRGBA(image.Rect(0, 0, w, h))
	quarters := [2][2]color.RGBA{{{255, 0, 0, 255}, {0, 255, 0, 255}}, {{0, 0, 255, 255}, {255, 255, 255, 255}}}
	for y := range h {
		for x := range w {
			p.SetRGBA(x, y, quarters[2*y/h][2*x/w])
		}
	}
	return p
}

func testJPEG(w, h int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, testPicture(w, h), &jpeg.Options{Quality: 95}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// clinicDesk is a kiosk with a device in about every state.
func clinicDesk() []apitype.Device {
	return []apitype.Device{
		{
			ID: "usb-046d-0892-8C5DAC1F", Kind: apitype.KindCamera, Name: "HD Pro Webcam C920", Where: "USB port 1-2.4", Path: "/dev/video0",
			Present: true, InUse: true, UsedBy: "session", State: apitype.DeviceOK, Role: apitype.RoleFace,
			Formats: []string{"MJPG 1280x720@30", "YUYV 640x480@30"}, Controls: clinicControls(),
		},
		{
			ID: "usb-1b3f-2247-at-usb-1-1", Kind: apitype.KindCamera, Name: "Document\x1b[2J camera", Where: "USB port 1-1", Role: apitype.RoleDocument,
			State: apitype.DeviceMissing, Message: "The camera is not plugged in.", Hint: "Look whether its plug sits tight in USB port 1-1.",
		},
		{
			ID: "usb-1b3f-2247-at-usb-1-3", Kind: apitype.KindCamera, Name: "Document camera", Where: "USB port 1-3", Path: "/dev/video2",
			Present: true, State: apitype.DeviceOK,
		},
		{
			ID: "usb-0c45-6366-A1", Kind: apitype.KindCamera, Name: "Exam scope", Where: "USB port 1-4", Path: "/dev/video4", Role: apitype.RoleExam,
			Present: true, State: apitype.DeviceBusy, Message: "Another program uses the camera.", Hint: "End that program.",
		},
		{
			ID: "usb-046d-0892-8C5DAC1F-audio", Kind: apitype.KindMicrophone, Name: "C920", Where: "USB port 1-2.4", Path: "plughw:CARD=C920,DEV=0",
			Present: true, State: apitype.DeviceOK,
		},
	}
}

func clinicControls() []apitype.DeviceControl {
	return []apitype.DeviceControl{
		{Name: "brightness", Label: "Brightness", Type: "integer", Max: 255, Step: 1, Default: 128, Value: 140, Enabled: true, Kept: true},
		{Name: "auto_exposure", Label: "Auto Exposure", Type: "menu", Max: 3, Step: 1, Default: 3, Value: 3, Enabled: true, Menu: []apitype.MenuEntry{
			{Value: 1, Name: "Manual Mode"}, {Value: 3, Name: "Aperture Priority Mode"},
		}},
		{Name: "exposure_time_absolute", Label: "Exposure Time, Absolute", Type: "integer", Min: 3, Max: 2047, Step: 1, Default: 250, Value: 250},
		{Name: "focus_automatic_continuous", Label: "Focus, Automatic Continuous", Type: "boolean", Max: 1, Step: 1, Default: 1, Value: 1, Enabled: true},
		{Name: "zoom_absolute", Label: "Zoom, Absolute", Type: "integer", Min: 100, Max: 500, Step: 10, Default: 100, Value: 100, Enabled: true},
	}
}
