package promise_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"kioskd/systemd/promise"
)

func TestTable(t *testing.T) {
	tab := promise.Table{
		{Name: "boot", Figures: "after 22.2 s", Took: 1200 * time.Millisecond},
		{Name: "devices", Figures: "cameras a, b", Err: errors.New("one\ntwo"), Took: time.Second},
		{Name: "call", Err: errors.New("cannot")},
	}
	want := `PASS    1.2 s  boot                               after 22.2 s
FAIL    1.0 s  devices                            cameras a, b; one
            two
FAIL    0.0 s  call                               cannot
3 rows, 2 failed
`
	if got := tab.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := promise.MS(1234567 * time.Microsecond); got != "1234 ms" {
		t.Errorf("got %q", got)
	}
}

func TestFields(t *testing.T) {
	got := promise.Fields("ActiveState=active\nUser=kioskd\r\n\nno value\nA=b=c\nNRestarts=\n")
	want := map[string]string{"ActiveState": "active", "User": "kioskd", "A": "b=c", "NRestarts": ""}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q", k, got[k])
		}
	}
}

func FuzzFields(f *testing.F) {
	f.Add("ActiveState=active\nUser=kioskd\n")
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range promise.Fields(text) {
			if strings.Contains(name, "=") || !strings.Contains(text, value) {
				t.Errorf("a field %q=%q", name, value)
			}
		}
	})
}
