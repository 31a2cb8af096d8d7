package words

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// rawKeys reads a language's own file, without the fallback's help.
func rawKeys(t *testing.T, lang string) map[string]string {
	t.Helper()
	texts, err := read(lang)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestEveryLanguageHasEveryKey(t *testing.T) {
	want := rawKeys(t, Fallback)
	if len(want) < 80 {
		t.Fatalf("the English file has %d texts: it was cut", len(want))
	}
	for _, lang := range Languages() {
		got := rawKeys(t, lang)
		for key := range want {
			if _, ok := got[key]; !ok {
				t.Errorf("%s.toml lacks %s", lang, key)
			}
		}
		for key := range got {
			if _, ok := want[key]; !ok {
				t.Errorf("%s.toml has %s, which en.toml lacks", lang, key)
			}
		}
	}
}

func TestTextsAreWhole(t *testing.T) {
	english := rawKeys(t, Fallback)
	for _, lang := range Languages() {
		for key, text := range rawKeys(t, lang) {
			if strings.TrimSpace(text) != text || text == "" {
				t.Errorf("%s %s is blank or has outer spaces: %q", lang, key, text)
			}
			want := placeholder.FindAllString(english[key], -1)
			got := placeholder.FindAllString(text, -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s %s has placeholders %v, English has %v", lang, key, got, want)
			}
			if strings.Contains(text, "!") {
				t.Errorf("%s %s shouts: the kiosk stays calm", lang, key)
			}
		}
	}
}

// The keys the contract asks for: each state, step, button value and session
// error must have its words.
func TestTheContractHasWords(t *testing.T) {
	var keys []string
	for _, s := range strings.Fields("none starting restarting waiting_permissions waiting active reconnecting ended timeout error") {
		keys = append(keys, "state."+s+".title", "state."+s+".text")
	}
	for _, s := range strings.Fields("loading joining participant") {
		keys = append(keys, "step."+s+".title", "step."+s+".short")
	}
	for _, v := range strings.Fields("start-call end-call report-issue swap-camera disable-video enable-video mute unmute chat") {
		keys = append(keys, "value."+v)
	}
	for _, c := range strings.Fields(`camera_permission_required microphone_permission_required network_unavailable
		unauthorized room_unavailable backend_unavailable appointment_unknown session_in_progress camera_missing
		session_over bad_appointment_id no_session store_unavailable store_full busy stopping state_forbidden daemon_unreachable`) {
		keys = append(keys, "error."+c+".title", "error."+c+".text")
	}
	for _, c := range strings.Fields(`camera_missing camera_busy camera_hung camera_error camera_no_permission
		microphone_missing microphone_busy microphone_hung microphone_error microphone_no_permission network_unavailable
		backend_unauthorized store_degraded`) {
		keys = append(keys, "condition."+c+".title", "condition."+c+".hint")
	}
	for _, lang := range Languages() {
		c, err := Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if !c.Has(key) {
				t.Errorf("%s has no %s", lang, key)
			}
		}
	}
}

// Button values are compared with the letters of the contract.
func TestEnglishButtonValuesAreTheContracts(t *testing.T) {
	c, err := Load("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"Start call", "End call", "Report issue", "Swap camera", "Disable video", "Mute"} {
		key := "value." + strings.ReplaceAll(strings.ToLower(value), " ", "-")
		if got := c.Text(key); got != value {
			t.Errorf("%s is %q, the contract says %q", key, got, value)
		}
	}
}

func TestLoad(t *testing.T) {
	for in, want := range map[string]string{"en": "en", "de": "de", "de-CH": "de", "ES_mx": "es", "EN": "en"} {
		c, err := Load(in)
		if err != nil {
			t.Errorf("Load(%q): %v", in, err)
			continue
		}
		if c.Lang() != want {
			t.Errorf("Load(%q).Lang() = %q, want %q", in, c.Lang(), want)
		}
	}
	for _, in := range []string{"", "xx", "../en", "e"} {
		if _, err := Load(in); err == nil || !strings.Contains(err.Error(), "use one of de, en, es") {
			t.Errorf("Load(%q) = %v, want an error that names the languages", in, err)
		}
	}
}

func TestText(t *testing.T) {
	c := &Catalogue{lang: "en", texts: map[string]string{
		"plain": "Hello", "one": "Hello {name}", "two": "{a} and {b}",
	}}
	tests := []struct {
		name, key string
		args      []string
		want      string
	}{
		{"plain", "plain", nil, "Hello"},
		{"unknown key is seen", "nope", nil, "nope"},
		{"filled in", "one", []string{"name", "Ada"}, "Hello Ada"},
		{"no value keeps the placeholder", "one", nil, "Hello {name}"},
		{"half a pair is ignored", "one", []string{"name"}, "Hello {name}"},
		{"a value is never expanded again", "two", []string{"a", "{b}", "b", "x"}, "{b} and x"},
		{"spare arguments are ignored", "plain", []string{"x", "y"}, "Hello"},
	}
	for _, tt := range tests {
		if got := c.Text(tt.key, tt.args...); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestMissingKeyFallsBackToEnglish(t *testing.T) {
	english := map[string]string{"a": "A", "b": "B"}
	own := map[string]string{"a": "Ä"}
	maps.Copy(english, own)
	c := &Catalogue{lang: "de", texts: english}
	if c.Text("a") != "Ä" || c.Text("b") != "B" {
		t.Errorf("got %q and %q", c.Text("a"), c.Text("b"))
	}
}

func TestAllIsACopy(t *testing.T) {
	c, err := Load("de")
	if err != nil {
		t.Fatal(err)
	}
	all := c.All()
	all["page.title"] = "changed"
	if c.Text("page.title") == "changed" {
		t.Error("All gives out the catalogue itself")
	}
}

func TestMatch(t *testing.T) {
	tests := []struct{ header, want string }{
		{"", "en"},
		{"de", "de"},
		{"de-AT,de;q=0.9,en;q=0.8", "de"},
		{"fr-FR,fr;q=0.9,es;q=0.5,en;q=0.1", "es"},
		{"en;q=0.1, es;q=0.7, de;q=0.7", "es"},
		{"de;q=0", "en"},
		{"de;q=nonsense,es;q=0.1", "es"},
		{"de;q=NaN", "en"},
		{"de;q=9", "en"},
		{"fr,*;q=0.5", "en"},
		{strings.Repeat("x", 1<<20) + ",de", "en"},
	}
	for _, tt := range tests {
		if got := Match(tt.header); got != tt.want {
			t.Errorf("Match(%.40q) = %q, want %q", tt.header, got, tt.want)
		}
	}
}

func TestParseRefusesWhatIsNoText(t *testing.T) {
	for _, in := range []string{"a = 1", "[a]\nb = [\"x\"]", "a = ", "a = \"x\"\na = \"y\""} {
		if _, err := parse("test.toml", []byte(in)); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("parse(%q) = %v, want an error", in, err)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("de-AT,de;q=0.9,en;q=0.8")
	f.Add(";q=,,;;=")
	f.Fuzz(func(t *testing.T, header string) {
		if _, err := Load(Match(header)); err != nil {
			t.Errorf("Match(%q) picked a language that does not load: %v", header, err)
		}
	})
}
