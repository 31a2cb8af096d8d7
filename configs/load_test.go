package configs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kioskd/configs"
)

func TestLoadLayers(t *testing.T) {
	path := write(t, "[backend]\nurl = \"https://file.example\"\n[camera]\nfps = 25\nwidth = 640\n[network]\nignore_interfaces = [\"a\", \"b\"]\n")
	config, err := configs.Load(path, "camera.width=800", "backend.allow_hosts=[\"rooms.example\"]", "microphone.enabled = false")
	if err != nil {
		t.Fatal(err)
	}
	if config.Backend.URL != "https://file.example" || config.Camera.FPS != 25 {
		t.Errorf("the file's keys did not arrive: %v", config)
	}
	if config.Camera.Width != 800 || config.Microphone.Enabled || !slices.Equal(config.Backend.AllowHosts, []string{"rooms.example"}) {
		t.Errorf("the overrides' keys did not arrive: %v", config)
	}
	if config.Camera.Height != 720 {
		t.Errorf("camera.height = %d, want the default 720 beside the file's keys", config.Camera.Height)
	}
	if !slices.Equal(config.Network.IgnoreInterfaces, []string{"a", "b"}) {
		t.Errorf("ignore_interfaces = %q, want the file's list and nothing of the default's", config.Network.IgnoreInterfaces)
	}
}

func TestLoadFillsPathsFromSystemd(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
	t.Setenv("STATE_DIRECTORY", "/var/lib/a")
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/kioskd.service")
	config, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	if config.API.Socket != "/run/a/control.sock" || config.Store.Dir != "/var/lib/a" || config.Backend.TokenFile != "/run/credentials/kioskd.service/backend-token" {
		t.Errorf("paths are %q %q %q", config.API.Socket, config.Store.Dir, config.Backend.TokenFile)
	}
	config, err = configs.Load("", goodURL, "api.socket=/x/s", "store.dir=/x", "backend.token_file=/x/t")
	if err != nil {
		t.Fatal(err)
	}
	if config.API.Socket != "/x/s" || config.Store.Dir != "/x" || config.Backend.TokenFile != "/x/t" {
		t.Errorf("systemd's paths won over the administrator's: %q %q %q", config.API.Socket, config.Store.Dir, config.Backend.TokenFile)
	}
	config, err = configs.Parse("given", []byte("[backend]\nurl = 'https://clinic.example'"))
	if err != nil || config.Store.Dir != configs.DefaultStateDir {
		t.Errorf("Parse read the environment: %q, %v", config.Store.Dir, err)
	}
}

// Each refused file names file, line, column and key.
func TestParseRefuses(t *testing.T) {
	const url = "[backend]\nurl = \"https://clinic.example\"\n"
	tests := []struct{ name, text, where, key, says string }{
		{"unknown key", url + "[camera]\nfsp = 30\n", "f:4:1", "camera.fsp", "unknown key"},
		{"unknown key, indented", url + "[camera]\n   fsp = 30\n", "f:4:4", "camera.fsp", "unknown key"},
		{"unknown section", url + "[kamera]\nfps = 30\n", "f:3:2", "kamera", "unknown key"},
		{"dotted unknown", "camera.fsp = 3\n" + url, "f:1:1", "camera.fsp", "unknown key"},
		{"text for number", url + "[camera]\nfps = \"30\"\n", "f:4:7", "camera.fps", "string"},
		{"number for text", "[backend]\nurl = 30\n", "f:2:7", "backend.url", "integer"},
		{"fraction", url + "[camera]\nfps = 29.97\n", "f:4:7", "camera.fps", "float"},
		{"list of numbers", url + "allow_hosts = [1]\n", "f:3:16", "backend.allow_hosts", "integer"},
		{"too large for int", url + "[camera]\nfps = 99999999999999999999\n", "f:4:7", "camera.fps", ""},
		{"broken", url + "[camera\nfps = 1\n", "f:3:8", "", ""},
		{"twice", url + "[camera]\nfps = 20\nfps = 21\n", "f:5:1", "fps", "already"},
		{"out of range", url + "[camera]\nfps = 61\n", "f:4:1", "camera.fps", "must be 5 to 60 frames/s, is 61"},
		{"out of range, inline", url + "camera = {fps = 61}\n", "", "backend.camera", "unknown key"},
		{"out of range, inline at the top", "camera = {width = 640, fps = 61}\n" + url, "f:1:24", "camera.fps", "must be 5 to 60"},
		{"out of range, dotted", "camera.fps = 4\n" + url, "f:1:1", "camera.fps", "must be 5 to 60"},
		{"out of range, quoted", "\"camera\".'fps' = 4\n" + url, "f:1:1", "camera.fps", "must be 5 to 60"},
		{"not a word of the list", url + "[log]\nlevel = \"loud\"\n", "f:4:1", "log.level", "debug, info, warn, error"},
		{"plain http", "[backend]\nurl = \"http://clinic.example\"\n", "f:2:1", "backend.url", "use https"},
		{"no url", "[camera]\nfps = 30\n", "built-in kioskd.toml:", "backend.url", "is empty"},
		{"keepalive", url + "[room]\nice_keepalive_ms = 2000\n", "f:4:1", "room.ice_keepalive_ms", "shorter than ice_disconnected_ms (2000)"},
		{"relative", url + "[store]\ndir = \"state\"\n", "f:4:1", "store.dir", "absolute path"},
		{"array of tables", url + "[[camera]]\nfps = 30\n", "f:3:3", "camera", "array table"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			config, err := configs.Parse("f", []byte(tt.text))
			if err == nil {
				t.Fatalf("was accepted: %v", config)
			}
			var problem *configs.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("%v is no *Problem", err)
			}
			if !strings.HasPrefix(problem.Where, tt.where) || problem.Key != tt.key || !strings.Contains(problem.Text, tt.says) {
				t.Errorf("got %q key %q text %q\nwant %q key %q text with %q", problem.Where, problem.Key, problem.Text, tt.where, tt.key, tt.says)
			}
			if !strings.HasPrefix(err.Error(), "cannot ") {
				t.Errorf("%q does not begin with cannot", err)
			}
			if !reflect.DeepEqual(config, configs.Config{}) {
				t.Error("a refused file gave a config")
			}
		})
	}
}

func TestParseNamesEveryProblem(t *testing.T) {
	_, err := configs.Parse("f", []byte("[camera]\nfps = 0\nwidth = 0\n[log]\nlevel=''\n"))
	for _, want := range []string{"f:2:1: camera.fps: ", "f:3:1: camera.width: ", "f:5:1: log.level: ", "backend.url: is empty"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
	_, err = configs.Parse("f", []byte("[camera]\none = 0\ntwo = 0\n"))
	if err == nil || strings.Count(err.Error(), "unknown key") != 2 {
		t.Errorf("%v\nshould name both unknown keys", err)
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.toml")
	if _, err := configs.Load(missing, goodURL); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := configs.Load(t.TempDir(), goodURL); err == nil {
		t.Error("a directory was read as a config")
	}
	// An endless file must be refused, not read to its end.
	if _, err := configs.Load("/dev/zero", goodURL); err == nil || !strings.Contains(err.Error(), "larger than 256 KiB") {
		t.Errorf("endless file: %v", err)
	}
	if _, err := configs.Load(write(t, "# "+strings.Repeat("x", 255<<10)), goodURL); err != nil {
		t.Errorf("a long comment: %v", err)
	}
}

func TestOverrideRefuses(t *testing.T) {
	for _, text := range []string{
		"", "=", "camera.fps", "fps=30", "camera.fsp=30", "camera=30", ".fps=1", "camera.fps.x=1",
		"camera.fps=", "camera.fps=x", "camera.fps=30\nwidth=640", "backend.allow_hosts=rooms.example",
		"camera.face=\"a\"\nwidth=640", "microphone.enabled=yes", "camera.fps=61",
	} {
		_, err := configs.Load("", goodURL, text)
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || strings.Contains(err.Error(), "toml: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	_, err := configs.Load("", goodURL, "camera.fps=61")
	var problem *configs.Problem
	if !errors.As(err, &problem) || problem.Where != "override" {
		t.Errorf("an override out of range is placed at %v", err)
	}
}

func TestOverrideTakesBareText(t *testing.T) {
	for _, value := range []string{"front door", `C:\cam "1"`, "a = b", "#1", "\x01\x7f", "é", "a\nb", ""} {
		config, err := configs.Load("", goodURL, "camera.face="+value)
		if err != nil || config.Camera.Face != value {
			t.Errorf("%q became %q, %v", value, config.Camera.Face, err)
		}
	}
	for text, want := range map[string]string{`"a\tb"`: "a\tb", `'a\tb'`: `a\tb`} {
		config, err := configs.Load("", goodURL, "camera.face="+text)
		if err != nil || config.Camera.Face != want {
			t.Errorf("%s became %q, %v", text, config.Camera.Face, err)
		}
	}
}

// Every number is accepted at both ends of its range and refused beyond them.
func TestRangesAreInclusive(t *testing.T) {
	for key, f := range structKeys() {
		low, high, ok := strings.Cut(f.Tag.Get("range"), "..")
		if !ok {
			continue
		}
		first, _ := strconv.Atoi(low)
		last, _ := strconv.Atoi(high)
		for value, good := range map[int]bool{first: true, last: true, first - 1: false, last + 1: false} {
			// The keep-alive's range reaches beyond the default of its neighbour.
			neighbour := "room.ice_disconnected_ms=30000"
			if key == "room.ice_disconnected_ms" {
				neighbour = "room.ice_keepalive_ms=100"
			}
			_, err := configs.Load("", goodURL, neighbour, fmt.Sprintf("%s=%d", key, value))
			if (err == nil) != good {
				t.Errorf("%s = %d: %v", key, value, err)
			}
		}
	}
}

func TestSecretsStayOut(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"https://kiosk:" + secret + "@clinic.example", "https://clinic.example/?token=" + secret, "https://clinic.example/#" + secret,
		"https://clinic.example:" + secret, "ftp://" + secret, "://" + secret, "https://" + secret + "%zz", "http://" + secret,
	} {
		_, err := configs.Load("", "backend.url="+url)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", strings.ReplaceAll(url, secret, "SECRET"), err)
		}
		// A config that never went through Validate must not tell either.
		var out bytes.Buffer
		config := configs.Config{Backend: configs.Backend{URL: url}}
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "config", config)
		fmt.Fprintf(&out, "%v %+v %#v %s", config, config, config, config)
		if strings.HasPrefix(url, "https://clinic.example/") || strings.Contains(url, "@") {
			if strings.Contains(out.String(), secret) {
				t.Errorf("the log shows the secret of %s", strings.ReplaceAll(url, secret, "SECRET"))
			}
		}
	}
}

func TestLogValueHasEveryKey(t *testing.T) {
	config, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("start", "config", config)
	for key := range structKeys() {
		if !strings.Contains(out.String(), "config."+key+"=") {
			t.Errorf("the log lacks %s", key)
		}
	}
}

func TestDurations(t *testing.T) {
	config, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]time.Duration{
		"timeout":      {config.Backend.Timeout(), 10 * time.Second},
		"reconnect":    {config.Session.Reconnect(), 2 * time.Minute},
		"wait":         {config.Session.Wait(), 15 * time.Minute},
		"limit":        {config.Session.Limit(), 30 * time.Minute},
		"disconnected": {config.Room.ICEDisconnected(), 2 * time.Second},
		"failed":       {config.Room.ICEFailed(), 10 * time.Second},
		"keepalive":    {config.Room.ICEKeepalive(), 500 * time.Millisecond},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}
	for word, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "": slog.LevelInfo} {
		if got := (configs.Log{Level: word}).SlogLevel(); got != want {
			t.Errorf("level %q is %v, want %v", word, got, want)
		}
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kioskd.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestShownHasEveryKeyAndNoSecret(t *testing.T) {
	config, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	shown := config.Shown()
	for key := range structKeys() {
		section, name, _ := strings.Cut(key, ".")
		if _, ok := shown[section][name]; !ok {
			t.Errorf("%s is not shown", key)
		}
	}
	config.Backend.URL = "https://kiosk:hunter2@clinic.example/?token=hunter2"
	if out := fmt.Sprint(config.Shown()); strings.Contains(out, "hunter2") || !strings.Contains(out, "clinic.example") {
		t.Errorf("shown: %s", out)
	}
}
