package configs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kioskd/configs"
)

// dropIns writes a settings file and files into its folder of drop-ins.
func dropIns(t *testing.T, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kioskd.toml")
	if err := os.Mkdir(path+".d", 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		to := filepath.Join(path+".d", name)
		if name == "" {
			to = path
		}
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestDropIns(t *testing.T) {
	path := dropIns(t, map[string]string{
		"":             "[backend]\nurl = 'https://file.example'\n[camera]\nfps = 20\nwidth = 640\n",
		"20-late.toml": "[camera]\nfps = 22\n", "10-early.toml": "camera.fps = 21\ncamera.height = 480\n",
		"30-no.conf": "[camera]\nfps = 23\n", ".40-hidden.toml": "[camera]\nfps = 24\n", "readme.txt": "not TOML",
	})
	got, err := configs.Load(path, "camera.format=mjpeg")
	if err != nil {
		t.Fatal(err)
	}
	if c := got.Camera; c.FPS != 22 || c.Width != 640 || c.Height != 480 || c.Format != "mjpeg" || got.Backend.URL != "https://file.example" {
		t.Errorf("got %+v", c)
	}
	if got, err := configs.Load(path, "camera.fps=25"); err != nil || got.Camera.FPS != 25 {
		t.Errorf("an override does not go over a drop-in: %d, %v", got.Camera.FPS, err)
	}
	list, err := configs.DropIns(path)
	if want := []string{path + ".d/10-early.toml", path + ".d/20-late.toml"}; err != nil || !slices.Equal(list, want) {
		t.Errorf("the drop-ins are %v, %v", list, err)
	}
	if list, err := configs.DropIns(filepath.Join(t.TempDir(), "none")); err != nil || list != nil {
		t.Errorf("without a folder: %v, %v", list, err)
	}
}

// Each error names its file, and all files are looked at.
func TestDropInsAreRefused(t *testing.T) {
	path := dropIns(t, map[string]string{
		"": "[backend]\nurl = 'https://file.example'\n[camera]\nfsp = 20\n", "a.toml": "[video]\nbitrate_kbps = 20\n",
		"b.toml": "[log]\n\nlevel = 3\n", "c.toml": "[camera]\nfps = 20\n",
	})
	_, err := configs.Load(path)
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, want := range []string{path + ":4:1: camera.fsp: unknown key; did you mean fps?", path + ".d/b.toml:3:9: log.level: must be a string in quotes, is an integer"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
	path = dropIns(t, map[string]string{"": "[backend]\nurl = 'https://file.example'\n", "a.toml": "[video]\nbitrate_kbps = 20\n", "b.toml": "[camera]\nfps = 61\n", "c.toml": "[camera]\nfps = 62\n"})
	_, err = configs.Load(path)
	for _, want := range []string{path + ".d/a.toml:2:1: video.bitrate_kbps: must be 100 to 8000 kbit/s, is 20", path + ".d/c.toml:2:1: camera.fps: must be 5 to 60 frames/s, is 62"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
	many := map[string]string{"": "[backend]\nurl = 'https://file.example'\n"}
	for n := range 65 {
		many[fmt.Sprintf("%02d.toml", n)] = ""
	}
	if _, err := configs.Load(dropIns(t, many)); err == nil || !strings.Contains(err.Error(), "holds 65, at most 64") {
		t.Errorf("65 drop-ins: %v", err)
	}
	path = dropIns(t, map[string]string{"": "[backend]\nurl = 'https://file.example'\n"})
	if err := os.Mkdir(filepath.Join(path+".d", "folder.toml"), 0o750); err != nil {
		t.Fatal(err)
	}
	if _, err := configs.Load(path); err == nil || !strings.HasPrefix(err.Error(), "cannot read config: ") {
		t.Errorf("a folder: %v", err)
	}
}

// What was probably meant stands in the error.
func TestUnknownKeyNamesTheNearest(t *testing.T) {
	for text, want := range map[string]string{
		"[camera]\nfsp = 30\n":                              "did you mean fps?",
		"[camera]\nWidht = 30\n":                            "did you mean width?",
		"[backend]\ntokenfile = 'a'\n":                      "did you mean token_file?",
		"[backend]\nadress = 'a'\n":                         "[backend] has allow_hosts, ca_file, device, platform, proxy, timeout_seconds, token_file, url",
		"[camera]\nbitrate_kbps = 30\n":                     "it belongs into the section [audio] or [video]",
		"[kamera]\nfps = 30\n":                              "did you mean the section [camera]?",
		"[bakcend]\nurl = 'a'\n":                            "did you mean the section [backend]?",
		"[quantum]\nflux = 'a'\n":                           "see the sample for the names",
		"flux = 1\n":                                        "see the sample for the names",
		"[camera]\n" + strings.Repeat("f", 500) + " = 30\n": "[camera] has directory, ",
	} {
		_, err := configs.Parse("f", []byte(text))
		if err == nil || !strings.Contains(err.Error(), "unknown key; "+want) {
			t.Errorf("%.40q: %v\nlacks %q", text, err, want)
		}
	}
	if _, err := configs.Load("", "camera.fsp=30"); err == nil || !strings.Contains(err.Error(), `"camera.fsp": unknown key; did you mean fps?`) {
		t.Errorf("an override: %v", err)
	}
}

// A wrong type is told in the words of the file, not of the program.
func TestWrongTypeIsSaidPlainly(t *testing.T) {
	for text, want := range map[string]string{
		"[camera]\nfps = '30'\n":         "f:2:7: camera.fps: must be a whole number (frames/s), is a string",
		"[camera]\nfallback = 1\n":       "f:2:12: camera.fallback: must be true or false, is an integer",
		"[backend]\nallow_hosts = 'a'\n": `f:2:15: backend.allow_hosts: must be a list of strings, as in ["a", "b"], is a string`,
		"camera = 3\n":                   "f:1:10: camera: must be a section, written [camera], is an integer",
		"[camera]\nfps = [30]\n":         "camera.fps: must be a whole number (frames/s), is an array",
	} {
		_, err := configs.Parse("f", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "struct") {
			t.Errorf("%q: %v\nlacks %q", text, err, want)
		}
	}
}

func TestProxy(t *testing.T) {
	for proxy, good := range map[string]bool{
		"": true, "http://proxy.clinic.example:3128": true, "http://10.0.0.1:8080/": true, "http://[2001:db8::1]:3128": true,
		"https://proxy.example:3128": false, "proxy.example:3128": false, "http://proxy.example": false, "http://a:b@proxy.example:3128": false,
		"http://proxy.example:3128/path": false, "http://proxy.example:0": false, "http://proxy.example:3128?x": false, "socks5://proxy.example:1080": false, "http://:3128": false,
	} {
		_, err := configs.Load("", goodURL, "backend.proxy="+proxy)
		if (err == nil) != good {
			t.Errorf("%q: %v", proxy, err)
		}
		if err != nil && strings.Contains(err.Error(), "a:b") {
			t.Errorf("a password is quoted: %v", err)
		}
	}
}

func TestPorts(t *testing.T) {
	for text, want := range map[string][2]uint16{
		"": {0, 0}, "50000-50031": {50000, 50031}, "1024-65535": {1024, 65535},
		"50000-50030": {}, "50000": {}, "-": {}, "1023-2000": {}, "50031-50000": {}, "0-0": {}, "50000-70000": {}, "a-b": {}, "50000-50100-50200": {},
	} {
		good := text == "" || want[0] != 0
		got, err := configs.Load("", goodURL, "room.udp_ports="+text)
		if (err == nil) != good || err == nil && got.Room.Ports() != want {
			t.Errorf("%q: %v, %v", text, got.Room.Ports(), err)
		}
	}
}
