package configs_test

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"kioskd/configs"
)

// sampleKey is one key of the sample with its comment.
type sampleKey struct{ value, comment string }

var (
	sectionLine = regexp.MustCompile(`^\[([a-z]+)\]$`)
	keyLine     = regexp.MustCompile(`^([a-z_]+) = (.+)$`)
	factsLine   = regexp.MustCompile(`# unit: ([^;]+); default: ([^;]+); range: (.+)\n$`)
)

// readSample reads the sample as a reader does, by its lines: a key's comment
// is what stands directly above it.
func readSample(t *testing.T) map[string]sampleKey {
	t.Helper()
	keys := map[string]sampleKey{}
	var section, comment string
	for n, line := range strings.Split(string(configs.Sample()), "\n") {
		switch {
		case line == "":
			comment = ""
		case strings.HasPrefix(line, "#"):
			comment += line + "\n"
		case sectionLine.MatchString(line):
			section, comment = sectionLine.FindStringSubmatch(line)[1], ""
		case keyLine.MatchString(line):
			m := keyLine.FindStringSubmatch(line)
			keys[section+"."+m[1]] = sampleKey{m[2], comment}
			comment = ""
		default:
			t.Errorf("line %d of the sample is no comment, section or key: %q", n+1, line)
		}
	}
	return keys
}

// structKeys lists the struct's keys with their tags.
func structKeys() map[string]reflect.StructField {
	keys := map[string]reflect.StructField{}
	for section := range reflect.TypeFor[configs.Config]().Fields() {
		for f := range section.Type.Fields() {
			keys[section.Tag.Get("toml")+"."+f.Tag.Get("toml")] = f
		}
	}
	return keys
}

func TestSampleAndStructNameTheSameKeys(t *testing.T) {
	inSample, inStruct := readSample(t), structKeys()
	if len(inStruct) < 30 {
		t.Fatalf("the struct has %d keys, so this test reads it wrongly", len(inStruct))
	}
	for key := range inStruct {
		if _, ok := inSample[key]; !ok {
			t.Errorf("the sample lacks %s", key)
		}
	}
	for key := range inSample {
		if _, ok := inStruct[key]; !ok {
			t.Errorf("the sample has %s, the struct has not", key)
		}
	}
}

func TestSampleSaysUnitDefaultAndRange(t *testing.T) {
	inSample := readSample(t)
	for key, f := range structKeys() {
		facts := factsLine.FindStringSubmatch(inSample[key].comment)
		if facts == nil {
			t.Errorf("%s: the comment above it ends without `# unit: ...; default: ...; range: ...`", key)
			continue
		}
		if facts[1] != f.Tag.Get("unit") {
			t.Errorf("%s: sample says unit %q, struct %q", key, facts[1], f.Tag.Get("unit"))
		}
		if facts[2] != inSample[key].value {
			t.Errorf("%s: sample says default %s, its value is %s", key, facts[2], inSample[key].value)
		}
		if want := f.Tag.Get("range"); want != "" && facts[3] != want {
			t.Errorf("%s: sample says range %s, struct %s", key, facts[3], want)
		}
		if want := strings.ReplaceAll(f.Tag.Get("oneof"), ",", ", "); want != "" && facts[3] != want {
			t.Errorf("%s: sample says range %s, struct %s", key, facts[3], want)
		}
		if f.Type.Kind() == reflect.Int && f.Tag.Get("range") == "" {
			t.Errorf("%s is a number without a range", key)
		}
	}
}

func TestSampleGivesEveryValue(t *testing.T) {
	config, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	want := configs.Config{
		Daemon:     configs.Daemon{SafeMode: true, ClockCheck: true},
		API:        configs.API{Socket: configs.DefaultSocket},
		Store:      configs.Store{Dir: configs.DefaultStateDir},
		Backend:    configs.Backend{URL: "https://clinic.example", TokenFile: configs.DefaultTokenFile, AllowHosts: []string{}, TimeoutSeconds: 10, Device: "Desktop", Platform: "kioskd"},
		Camera:     configs.Camera{Directory: "/dev", Width: 1280, Height: 720, FPS: 30, Format: "auto"},
		Microphone: configs.Microphone{Device: "default", Enabled: true},
		Speaker:    configs.Speaker{Device: "default"},
		Video:      configs.Video{Codec: "auto", BitrateKbps: 1500, CPUUsed: -12, CPUBudgetPercent: 70, Degradation: "balanced"},
		Audio:      configs.Audio{BitrateKbps: 32},
		Session:    configs.Session{ReconnectSeconds: 120, WaitSeconds: 900, SessionSeconds: 1800},
		Network:    configs.Network{IgnoreInterfaces: []string{"kiosk0"}},
		Room:       configs.Room{ICEDisconnectedMS: 2000, ICEFailedMS: 10000, ICEKeepaliveMS: 500},
		Log:        configs.Log{Level: "info"},
		Screen:     configs.Screen{Language: "en"},
	}
	if !reflect.DeepEqual(config, want) {
		t.Errorf("default is\n%#v\nwant\n%#v", config, want)
	}
}

// A sample that was copied and edited is the usual file: it has to load as a
// file, over itself, and give the same.
func TestSampleLoadsAsAFile(t *testing.T) {
	text := strings.Replace(string(configs.Sample()), `url = ""`, `url = "https://clinic.example"`, 1)
	fromFile, err := configs.Parse("copy.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	fromDefault, err := configs.Load("", goodURL)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(fromFile, fromDefault) {
		t.Errorf("a copy of the sample gives\n%v\nthe default\n%v", fromFile, fromDefault)
	}
}

func TestSampleIsACopy(t *testing.T) {
	clear(configs.Sample())
	if _, err := configs.Load("", goodURL); err != nil {
		t.Errorf("changing Sample's answer changed the default: %v", err)
	}
}

func TestStringIsTOML(t *testing.T) {
	config, err := configs.Load("", goodURL, "camera.fps=15", `camera.face="usb \"1\""`)
	if err != nil {
		t.Fatal(err)
	}
	var back configs.Config
	if err := toml.Unmarshal([]byte(config.String()), &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, config) {
		t.Errorf("String gives %v back, want %v", back, config)
	}
	if fmt.Sprintf("%#v", config) != config.String() || fmt.Sprintf("%+v", config) != config.String() {
		t.Error("a format verb goes around String")
	}
}
