package sim

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzReport: whatever is taken keeps to the bounds and can be listed;
// whatever is refused says so without a word of the report.
func FuzzReport(f *testing.F) {
	const kind = "multipart/form-data; boundary=b"
	whole := "--b\r\nContent-Disposition: form-data; name=\"issue\"\r\n\r\nNo sound\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nr-1\r\n" +
		"--b\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"bundle.json\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}\r\n--b--\r\n"
	f.Add(kind, []byte(whole))
	f.Add(kind, []byte(strings.Replace(whole, "r-1", "r/1", 1)))
	f.Add(kind, []byte(whole[:len(whole)/2]))
	f.Add("text/plain", []byte(whole))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		got, err := parseReport(kind, body)
		if err != nil {
			if bad := badReport(""); !errors.As(err, &bad) || len(bad) > 80 {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if !keyOfReport(got.Key) || got.Issue == "" || len(got.Issue) > maxIssue || !utf8.ValidString(got.Issue) || len(got.Bundle) > maxBundle {
			t.Fatalf("taken: key %q, %d and %d bytes", got.Key, len(got.Issue), len(got.Bundle))
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzOrder: what is taken can be done, and only what was named is changed.
func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"put":{"status":302,"times":2},"room":{"timeout":1,"patches":{"chat":{"enabled":false}}},"signal":{"drop":true}}`))
	f.Add([]byte(`{"patch":null,"post":{"silent":true,"keep":true}}`))
	f.Add([]byte(`{"put":{"status":99}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseOrder(body)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot ") {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		for method, a := range c.answers {
			if err := a.check(method); err != nil {
				t.Fatalf("taken: %v", err)
			}
		}
		var b behaviour
		b.reset()
		b.apply(c)
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodPost} {
			a := b.take(method)
			if told := c.answers[method]; told == nil && a.Status != 0 || told != nil && a.Status != told.Status {
				t.Fatalf("%s answers with %d", method, a.Status)
			}
			if again := b.take(method); a.Times == 1 && again.Status != 0 {
				t.Fatalf("%s does it again", method)
			}
		}
		if err := b.roomNow().check(); err != nil {
			t.Fatal(err)
		}
	})
}
