package main

import (
	"strings"
	"testing"

	"kioskd/configs"
)

// Every key of the settings is in the page, once, with its unit and range.
func TestSettingsPage(t *testing.T) {
	page, err := settingsPage(configs.Sample())
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for section, list := range (configs.Config{}).Shown() {
		if !strings.Contains(page, ".SH \"["+strings.ToUpper(section)+"]\"\n") {
			t.Errorf("section %s is missing", section)
		}
		keys += len(list)
		for key := range list {
			if !strings.Contains(page, ".B "+key+"\n") {
				t.Errorf("key %s is missing", key)
			}
		}
	}
	if got := strings.Count(page, ".TP\n.B "); got != keys {
		t.Errorf("%d keys are in the page, there are %d", got, keys)
	}
	if got := strings.Count(page, "\nunit: "); got != keys {
		t.Errorf("%d units are in the page, there are %d keys", got, keys)
	}
	if got := strings.Count(page, "\n\\fBlive\\fR\n"); got != len(configs.LiveKeys()) {
		t.Errorf("%d keys are marked as live, %d are", got, len(configs.LiveKeys()))
	}
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "'") {
			t.Errorf("troff would take %q for its own", line)
		}
	}
}

func TestSettingsPageRefuses(t *testing.T) {
	for _, text := range []string{"", "# only words\n", "[a]\nnonsense\n"} {
		if _, err := settingsPage([]byte(text)); err == nil {
			t.Errorf("%q became a page", text)
		}
	}
}

func TestFlagList(t *testing.T) {
	got := flagList("Usage of x:\n  -config file\n    \tthe file; -set wins\n  -v\n    \t.dotted\n")
	want := ".TP\n.B \\-config file\nthe file; \\-set wins\n.TP\n.B \\-v\n\\&.dotted\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Desktops that start nothing by themselves need a line; the page has it.
func TestScreenPageNamesDesktops(t *testing.T) {
	page := screenPage("")
	for _, line := range []string{`cage \-\- /usr/lib/kioskd/kiosk\-desktop \-\-wait`, `exec /usr/lib/kioskd/kiosk\-desktop`, `/usr/lib/kioskd/kiosk\-desktop &`} {
		if !strings.Contains(page, "\n"+line) {
			t.Errorf("%q is not in the page", line)
		}
	}
}

// The same text gives the same bytes, whenever it is packed.
func TestPackIsTheSame(t *testing.T) {
	a, err := pack("text")
	b, err2 := pack("text")
	if err != nil || err2 != nil || string(a) != string(b) || len(a) == 0 {
		t.Errorf("got %x and %x, %v, %v", a, b, err, err2)
	}
	if strings.Contains(string(a), "1970") || a[4]|a[5]|a[6]|a[7] != 0 {
		t.Errorf("it has a time: %x", a[:10])
	}
}
