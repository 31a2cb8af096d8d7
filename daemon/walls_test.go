package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// The walls: who may import what. Test files are free, for they may build
// whatever world they need; what ships is not.

const (
	webrtc = "github.com/pion/webrtc"
	bbolt  = "go.etcd.io/bbolt"
	webcam = "github.com/blackjack/webcam"
	own    = "kioskd"
)

// pkg is what `go list -json` says about a package; Imports are the direct ones.
type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

// wall is one rule about direct imports. A path in these lists stands for the
// package and for all below it.
type wall struct {
	name    string
	of      []string // whom the rule is about; empty: every package of ours
	except  []string // who may
	forbids func(p pkg) bool
	because string
}

// walls are DESIGN's, section "Layout".
func walls() []wall {
	return []wall{
		{
			name: "pion/webrtc", except: []string{"kioskd/daemon/call", "kioskd/daemon/room", "kioskd/capture/encode", "kioskd/systemd/vm/farside", "kioskd/daemon/e2e/hostile"}, forbids: within(webrtc),
			because: "peer connections belong to the call and the rooms; the others speak in their terms; systemd/vm/farside and daemon/e2e/hostile are the other side of a call",
		},
		{
			name: "bbolt", except: []string{"kioskd/store"}, forbids: within(bbolt),
			because: "the store alone knows how state is kept",
		},
		{
			name: "blackjack/webcam", except: []string{"kioskd/capture/camera"}, forbids: within(webcam),
			because: "the camera package alone knows V4L2, its deadlines and its traps",
		},
		{
			name: "capture/soundcard", except: []string{"kioskd/capture"}, forbids: within("kioskd/capture/soundcard"),
			because: "the microphone and the speaker share it; the others ask them",
		},
		{
			name: "cmd", except: []string{"kioskd/cmd", "kioskd/daemon/e2e"}, forbids: within("kioskd/cmd"),
			because: "imports point down: a program is nobody's library; only daemon/e2e drives the programs it tests",
		},
		{
			name: "daemon", of: []string{"kioskd/capture", "kioskd/store", "kioskd/systemd", "kioskd/configs"}, except: []string{"kioskd/systemd/vm", "kioskd/systemd/lab"}, forbids: within("kioskd/daemon"),
			because: "imports point down: the daemon is built of these; systemd/vm and systemd/lab are programs that drive it",
		},
		{
			name: "package daemon itself", except: []string{"kioskd/cmd"}, forbids: func(p pkg) bool { return p.ImportPath == "kioskd/daemon" },
			because: "imports point down: only a program starts the daemon",
		},
		{
			name: "anything but the standard library", of: []string{"kioskd/daemon/session!", "kioskd/daemon/api/apitype"}, forbids: func(p pkg) bool { return !p.Standard },
			because: "the state machine and the API's types are to be read, tested and used by themselves",
		},
		{
			name: "what blocks", of: []string{"kioskd/daemon/session!"}, forbids: within("os", "net", "sync", "context", "syscall", "io/fs"),
			because: "Step is pure: no I/O, no clock, no goroutine",
		},
	}
}

// binaryWall is a rule about all that a program contains.
type binaryWall struct {
	binary  string
	forbids []string
	modules map[string]string // module -> reason; nil: no list is kept
	most    int               // modules at most
}

func binaryWalls() []binaryWall {
	return []binaryWall{
		{binary: "kioskd/cmd/kioskd", modules: kioskdModules(), most: 45, forbids: []string{"kioskd/cmd/clinicsim", "kioskd/cmd/fakecam", "kioskd/daemon/e2e", "kioskd/capture/soundcard/alsatest", "kioskd/capture/microphone/pulsetest", "testing"}},
		{binary: "kioskd/cmd/kioskctl", most: 8, forbids: []string{webrtc, bbolt, "kioskd/capture", "kioskd/store", "kioskd/daemon/e2e", "testing"}},
		{binary: "kioskd/cmd/kioskscreen", most: 8, forbids: []string{webrtc, bbolt, "kioskd/capture", "kioskd/store", "kioskd/daemon/e2e", "testing"}},
	}
}

// kioskdModules are the modules that the daemon contains, each with its reason.
// A new one fails until it stands here.
func kioskdModules() map[string]string {
	return map[string]string{
		"github.com/blackjack/webcam":      "V4L2: open, formats, buffers, frames",
		"github.com/coder/websocket":       "the direct room's signalling",
		"github.com/coreos/go-systemd/v22": "sd_notify, watchdog, socket activation",
		"github.com/godbus/dbus/v5":        "timedated's word on the clock, which the sandbox keeps the kernel from giving",
		"github.com/google/uuid":           "of pion/mediadevices and pion/mdns",
		"github.com/hraban/opus":           "libopus with FEC and DTX, which mediadevices' own binding lacks",
		"github.com/pelletier/go-toml/v2":  "strict settings with line and column",
		"github.com/pion/datachannel":      "of pion/webrtc: chat and pings (RFC 8831, RFC 8832)",
		"github.com/pion/dtls/v3":          "of pion/webrtc: keys of the media (RFC 5764, RFC 6347)",
		"github.com/pion/ice/v4":           "of pion/webrtc: the way between the peers (RFC 8445)",
		"github.com/pion/interceptor":      "of pion/webrtc: NACK, reports, statistics, congestion control",
		"github.com/pion/logging":          "of pion/webrtc: its loggers",
		"github.com/pion/mdns/v2":          "of pion/ice: names that hide a browser's addresses",
		"github.com/pion/mediadevices":     "the interfaces of codecs and their readers; openh264",
		"github.com/pion/randutil":         "of pion/webrtc: random identifiers",
		"github.com/pion/rtcp":             "keyframe requests and reports (RFC 3550, RFC 4585)",
		"github.com/pion/rtp":              "packets and payload formats (RFC 3550, RFC 7741, RFC 7587)",
		"github.com/pion/sctp":             "of pion/webrtc: data channels (RFC 9260)",
		"github.com/pion/sdp/v3":           "of pion/webrtc: session descriptions (RFC 8866)",
		"github.com/pion/srtp/v3":          "of pion/webrtc: encrypted media (RFC 3711)",
		"github.com/pion/stun/v4":          "of pion/ice: STUN (RFC 8489)",
		"github.com/pion/transport/v5":     "of pion/webrtc: networks, buffers, replay protection",
		"github.com/pion/turn/v5":          "of pion/ice: TURN (RFC 8656)",
		"github.com/pion/webrtc/v4":        "peer connections with the clinician and with the screen",
		"github.com/vishvananda/netlink":   "links, addresses and routes, and their changes",
		"github.com/vishvananda/netns":     "of vishvananda/netlink",
		"github.com/wlynxg/anet":           "of pion/transport: interfaces on Android",
		"go.etcd.io/bbolt":                 "the store's file",
		"golang.org/x/crypto":              "of pion/dtls and pion/srtp: curves and ciphers",
		"golang.org/x/image":               "the slate's letters; of pion/mediadevices: scaling",
		"golang.org/x/net":                 "of pion/ice and pion/mdns: socket options, DNS messages",
		"golang.org/x/sys":                 "ioctl, poll, netlink and peer credentials",
		"golang.org/x/time":                "of pion/transport and pion/interceptor: pacing",
	}
}

func TestWalls(t *testing.T) {
	packages := listPackages(t)
	complaints := breaches(packages, walls())
	for _, w := range binaryWalls() {
		complaints = append(complaints, w.breaches(packages)...)
	}
	for _, complaint := range complaints {
		t.Error(complaint)
	}
}

// breaches names each direct import that a wall forbids.
func breaches(packages map[string]pkg, walls []wall) []string {
	var found []string
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		if !under(path, own) {
			continue
		}
		for _, w := range walls {
			if len(w.of) > 0 && !under(path, w.of...) || under(path, w.except...) {
				continue
			}
			for _, imported := range packages[path].Imports {
				if p, known := packages[imported]; known && w.forbids(p) {
					found = append(found, fmt.Sprintf("%s imports %s, but must not import %s: %s", path, imported, w.name, w.because))
				}
			}
		}
	}
	return found
}

// breaches names what the program contains and must not, its modules without a
// reason and the reasons without a module.
func (w binaryWall) breaches(packages map[string]pkg) []string {
	if _, there := packages[w.binary]; !there {
		return []string{w.binary + " is not there; its walls cannot be checked"}
	}
	var found []string
	modules := map[string]bool{}
	chains := closure(packages, w.binary)
	for _, path := range slices.Sorted(maps.Keys(chains)) {
		p := packages[path]
		if under(path, w.forbids...) || under(unversioned(path), w.forbids...) {
			found = append(found, fmt.Sprintf("%s contains %s and must not; it comes by %s", w.binary, path, strings.Join(chains[path], " -> ")))
		}
		if p.Module != nil && p.Module.Path != own && !modules[p.Module.Path] {
			modules[p.Module.Path] = true
			if _, listed := w.modules[p.Module.Path]; w.modules != nil && !listed {
				found = append(found, fmt.Sprintf("%s contains the module %s, which is not in kioskdModules; it comes by %s; drop it or list it with its reason", w.binary, p.Module.Path, strings.Join(chains[path], " -> ")))
			}
		}
	}
	for _, listed := range slices.Sorted(maps.Keys(w.modules)) {
		if !modules[listed] {
			found = append(found, fmt.Sprintf("%s no longer contains the module %s; take it off kioskdModules", w.binary, listed))
		}
	}
	if len(modules) > w.most {
		found = append(found, fmt.Sprintf("%s contains %d modules, at most %d are allowed", w.binary, len(modules), w.most))
	}
	return found
}

// closure gives each package that root contains, with the shortest chain of
// imports that leads to it.
func closure(packages map[string]pkg, root string) map[string][]string {
	chains := map[string][]string{root: {root}}
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		for _, imported := range packages[queue[0]].Imports {
			if _, seen := chains[imported]; !seen && imported != "C" {
				chains[imported] = append(slices.Clone(chains[queue[0]]), imported)
				queue = append(queue, imported)
			}
		}
	}
	return chains
}

// listPackages asks the go command once for all packages of the module and all
// that they import.
func listPackages(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags=nolibopusfile", "-deps", "-json=ImportPath,Imports,Standard,Module", "./...")
	cmd.Dir = ".."
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		t.Fatalf("cannot list the packages: %v\n%s", err, problems.String())
	}
	packages := map[string]pkg{}
	for dec := json.NewDecoder(&out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
}

// within is true for packages at or below the paths, whatever their version.
func within(paths ...string) func(pkg) bool {
	return func(p pkg) bool { return under(unversioned(p.ImportPath), paths...) }
}

// under is true for a path at or below one of the roots; "root!" means the root
// alone.
func under(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		alone, only := strings.CutSuffix(root, "!")
		return path == alone || !only && strings.HasPrefix(path, root+"/")
	})
}

// unversioned takes the major version out of an import path: a wall against
// pion/webrtc holds for v5, too.
func unversioned(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool {
		return len(part) > 1 && part[0] == 'v' && strings.Trim(part[1:], "0123456789") == ""
	}), "/")
}

// The walls themselves have to stand: an invented module with one breach each.
func TestWallsFindBreaches(t *testing.T) {
	for _, tt := range []struct{ from, to, says string }{
		{"kioskd/daemon/api", "github.com/pion/webrtc/v9/pkg/media", "must not import pion/webrtc"},
		{"kioskd/daemon", "go.etcd.io/bbolt", "must not import bbolt"},
		{"kioskd/storefront", "go.etcd.io/bbolt/errors", "must not import bbolt"},
		{"kioskd/capture", "github.com/blackjack/webcam", "must not import blackjack/webcam"},
		{"kioskd/daemon", "kioskd/capture/soundcard", "must not import capture/soundcard"},
		{"kioskd/capture/speaker", "kioskd/capture/soundcard", ""},
		{"kioskd/daemon/api", "kioskd/cmd/fakecam", "must not import cmd"},
		{"kioskd/store", "kioskd/daemon/session", "must not import daemon"},
		{"kioskd/configs/words", "kioskd/daemon/backend", "must not import daemon"},
		{"kioskd/daemon/client", "kioskd/daemon", "only a program starts the daemon"},
		{"kioskd/daemon/session", "golang.org/x/sys/unix", "standard library"},
		{"kioskd/daemon/session", "net/http", "Step is pure"},
		{"kioskd/daemon/session", "context", "Step is pure"},
		{"kioskd/daemon/api/apitype", "kioskd/daemon/session", "standard library"},
		{"kioskd/daemon/call", "github.com/pion/webrtc/v4", ""},
		{"kioskd/daemon/room/direct", "github.com/pion/webrtc/v4", ""},
		{"kioskd/store", "go.etcd.io/bbolt", ""},
		{"kioskd/cmd/clinicsim", "kioskd/cmd/clinicsim/sim", ""},
		{"kioskd/cmd/kioskd", "kioskd/daemon", ""},
		{"kioskd/daemon/session", "encoding/json", ""},
		{"kioskd/daemon/session/runner", "context", ""},
		{"github.com/other/module", "kioskd/cmd/kioskd", ""},
	} {
		invented := map[string]pkg{
			tt.from: {ImportPath: tt.from, Imports: []string{"C", tt.to}},
			tt.to:   {ImportPath: tt.to, Standard: !strings.Contains(tt.to, ".") && !strings.HasPrefix(tt.to, own)},
		}
		found := breaches(invented, walls())
		if tt.says == "" && len(found) > 0 || tt.says != "" && (len(found) != 1 || !strings.Contains(found[0], tt.says)) {
			t.Errorf("%s imports %s: the walls say %q, want %q", tt.from, tt.to, found, tt.says)
		}
	}
}

func TestBinaryWallsFindBreaches(t *testing.T) {
	module := func(path string) *struct{ Path string } { return &struct{ Path string }{path} }
	packages := map[string]pkg{
		"kioskd/cmd/x":         {ImportPath: "kioskd/cmd/x", Imports: []string{"kioskd/daemon/client", "C"}, Module: module(own)},
		"kioskd/daemon/client": {ImportPath: "kioskd/daemon/client", Imports: []string{"a.example/new", "os"}, Module: module(own)},
		"a.example/new":        {ImportPath: "a.example/new", Imports: []string{"go.etcd.io/bbolt"}, Module: module("a.example/new")},
		"go.etcd.io/bbolt":     {ImportPath: "go.etcd.io/bbolt", Module: module("go.etcd.io/bbolt")},
		"os":                   {ImportPath: "os", Standard: true},
		"kioskd/cmd/unrelated": {ImportPath: "kioskd/cmd/unrelated", Imports: []string{"b.example/other"}, Module: module(own)},
		"b.example/other":      {ImportPath: "b.example/other", Module: module("b.example/other")},
	}
	got := binaryWall{binary: "kioskd/cmd/x", forbids: []string{bbolt}, most: 1, modules: map[string]string{"go.etcd.io/bbolt": "x", "b.example/gone": "x"}}.breaches(packages)
	want := []string{
		"contains the module a.example/new, which is not in kioskdModules; it comes by kioskd/cmd/x -> kioskd/daemon/client -> a.example/new;",
		"contains go.etcd.io/bbolt and must not; it comes by kioskd/cmd/x -> kioskd/daemon/client -> a.example/new -> go.etcd.io/bbolt",
		"no longer contains the module b.example/gone",
		"contains 2 modules, at most 1",
	}
	if len(got) != len(want) {
		t.Fatalf("the walls say %q", got)
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("breach %d is %q, want %q in it", i, got[i], want[i])
		}
	}
	if missing := (binaryWall{binary: "kioskd/cmd/y"}).breaches(packages); len(missing) != 1 || !strings.Contains(missing[0], "is not there") {
		t.Errorf("a program that is not there: %q", missing)
	}
}
