package configs_test

import (
	"slices"
	"strings"
	"testing"

	"kioskd/configs"
)

func TestDiffers(t *testing.T) {
	a, err := configs.Parse("a", []byte("[backend]\nurl = \"https://clinic.example\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	b := a
	if d := a.Differs(b); len(d) != 0 {
		t.Errorf("the same settings differ in %q", d)
	}
	b.Video.Codec, b.API.Socket = "vp8", "/x"
	b.Backend.AllowHosts = []string{"other.example"}
	if d := a.Differs(b); !slices.Equal(d, []string{"api.socket", "backend.allow_hosts", "video.codec"}) {
		t.Errorf("they differ in %q", d)
	}
}

// LiveKeys names keys that there are, sorted, each once.
func TestLiveKeys(t *testing.T) {
	shown := configs.Config{}.Shown()
	for _, key := range configs.LiveKeys() {
		section, name, _ := strings.Cut(key, ".")
		if _, ok := shown[section][name]; !ok {
			t.Errorf("there is no key %s", key)
		}
	}
	if keys := configs.LiveKeys(); !slices.IsSorted(keys) || len(slices.Compact(slices.Clone(keys))) != len(keys) {
		t.Errorf("the list is %q", keys)
	}
}
