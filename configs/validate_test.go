package configs_test

import (
	"reflect"
	"strings"
	"testing"

	"kioskd/configs"
)

func TestBackendURL(t *testing.T) {
	good := []string{
		"https://clinic.example", "https://clinic.example/", "https://clinic.example:8443/base/path", "https://10.0.0.1",
		"https://[2001:db8::1]:443", "http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:1", "http://localhost:8080", "HTTPS://Clinic.Example",
	}
	bad := []string{
		"", " ", "clinic.example", "clinic.example:443", "/path", "//clinic.example", "https://", "https:///path", "https:clinic.example",
		"http://clinic.example", "http://10.0.0.1", "http://0.0.0.0", "http://[::]", "http://localhost.evil.example", "http://127.0.0.1.evil.example",
		"http://2130706433", "http://127.1", "ws://localhost", "wss://clinic.example", "file:///etc/passwd", "https://user@clinic.example",
		"https://user:word@clinic.example", "https://clinic.example?x=1", "https://clinic.example/?", "https://clinic.example/#f",
		"https://clinic.example:0", "https://clinic.example:65536", "https://clinic.example:", "https://clinic.example:x", "https://a b", "https://[::1", "https://[fe80::1%25lo]",
		"https://-x", "https://clinic.example\n", "https://" + strings.Repeat("a", 300),
	}
	for _, url := range good {
		if _, err := configs.Load("", "backend.url="+url); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range bad {
		config := good0(t)
		config.Backend.URL = url
		if err := config.Validate(); err == nil {
			t.Errorf("%q was accepted", url)
		}
	}
}

func TestLists(t *testing.T) {
	tests := []struct {
		name string
		list func(*configs.Config) *[]string
		good []string
		bad  []string
	}{
		{
			"allow_hosts", func(c *configs.Config) *[]string { return &c.Backend.AllowHosts },
			[]string{"rooms.example", "rooms.example:8443", "10.0.0.1", "10.0.0.1:443", "::1", "[::1]:443", "localhost"},
			[]string{"", "https://rooms.example", "rooms.example/", "rooms.example:0", "rooms.example:x", "rooms.example:", ":443", "*.example", "a b", "user@rooms.example", "-a", "fe80::1%lo", "[::1]", strings.Repeat("a", 300)},
		},
		{
			"ignore_interfaces", func(c *configs.Config) *[]string { return &c.Network.IgnoreInterfaces },
			[]string{"lo", "kiosk0", "wlp0s20f3", "a23456789012345"},
			[]string{"", "a/b", "a b", "a234567890123456"},
		},
	}
	for _, tt := range tests {
		config := good0(t)
		*tt.list(&config) = tt.good
		if err := config.Validate(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, entry := range tt.bad {
			*tt.list(&config) = []string{"good", entry}
			if err := config.Validate(); err == nil {
				t.Errorf("%s: %q was accepted", tt.name, entry)
			}
		}
		*tt.list(&config) = strings.Split(strings.Repeat("a ", 32)+"a", " ")
		if err := config.Validate(); err == nil {
			t.Errorf("%s: 33 entries were accepted", tt.name)
		}
		*tt.list(&config) = nil
		if err := config.Validate(); err != nil {
			t.Errorf("%s: none: %v", tt.name, err)
		}
	}
}

func TestWords(t *testing.T) {
	for override, good := range map[string]bool{
		"backend.platform=kioskd/1.2_a-b":                           true,
		"backend.platform=":                                         false,
		"backend.platform=a b":                                      false,
		"backend.platform=\"a\\r\\nX-Evil: 1\"":                     false,
		"backend.platform=" + strings.Repeat("a", 65):               false,
		"backend.device=Mobile":                                     true,
		"backend.device=mobile":                                     false,
		"camera.directory=":                                         false,
		"camera.directory=dev":                                      false,
		"camera.directory=/tmp/cameras":                             true,
		"camera.face=" + strings.Repeat("a", 255):                   true,
		"camera.face=" + strings.Repeat("a", 256):                   false,
		"microphone.device=":                                        false,
		"microphone.device=plughw:CARD=Webcam,DEV=0":                true,
		"microphone.device=" + strings.Repeat("a", 256):             false,
		"api.socket=/" + strings.Repeat("a", 106):                   true,
		"api.socket=/" + strings.Repeat("a", 107):                   false,
		"api.socket=control.sock":                                   false,
		"backend.ca_file=ca.pem":                                    false,
		"backend.ca_file=\"/ca\\u0000.pem\"":                        false,
		"backend.token_file=token":                                  false,
		"screen.language=fr":                                        false,
		"screen.language=de":                                        true,
		"camera.format=h264":                                        false,
		"camera.format=" + strings.Repeat("a", 1000):                false,
		"backend.allow_hosts=[" + strings.Repeat("' ',", 1e3) + "]": false,
	} {
		_, err := configs.Load("", goodURL, override)
		if (err == nil) != good {
			t.Errorf("%.80s: %v", override, err)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%.80s: the error has %d bytes", override, len(err.Error()))
		}
	}
}

// A Config that was not loaded has no places, but keys and the struct's order.
func TestValidateZero(t *testing.T) {
	err := configs.Config{}.Validate()
	if err == nil {
		t.Fatal("the zero Config was accepted")
	}
	text := err.Error()
	last := -1
	for _, key := range []string{"backend.url", "backend.timeout_seconds", "backend.device", "camera.directory", "camera.width", "video.bitrate_kbps", "room.ice_disconnected_ms", "screen.language"} {
		at := strings.Index(text, "cannot use config: "+key+": ")
		if at <= last {
			t.Errorf("%s is missing or out of order in\n%s", key, text)
		}
		last = at
	}
}

// FuzzParse: no bytes make Parse panic, and what it accepts is valid and comes
// back the same when it is written out again.
func FuzzParse(f *testing.F) {
	f.Add(configs.Sample())
	f.Add([]byte("[backend]\nurl = 'https://clinic.example'\n[camera]\nfps = 61"))
	f.Add([]byte("backend = {url = \"http://[::1]:80/\", allow_hosts = ['a', \"b:1\"]}\ncamera.\"fps\" = 5 # x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := configs.Parse("f", data)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot ") {
				t.Errorf("%q does not begin with cannot", err)
			}
			return
		}
		if err := config.Validate(); err != nil {
			t.Errorf("accepted, yet %v", err)
		}
		again, err := configs.Parse("f", []byte(config.String()))
		if err != nil || !reflect.DeepEqual(normal(again), normal(config)) {
			t.Errorf("%v became %v, %v", config, again, err)
		}
	})
}

// normal makes an empty list and no list the same.
func normal(c configs.Config) configs.Config {
	c.Backend.AllowHosts = append([]string{}, c.Backend.AllowHosts...)
	c.Network.IgnoreInterfaces = append([]string{}, c.Network.IgnoreInterfaces...)
	return c
}

func good0(t *testing.T) configs.Config {
	t.Helper()
	config, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	return config
}
