package wire_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct{ body, want string }{ // want: part of the detail; "" good
		{`{"name":"x","flag":true}`, ""},
		{" {\n\"flag\" : false , \"name\" : \"\" } \n", ""},
		{`{"name":"x"}`, `"flag" is missing`},
		{`{"name":"x","flag":null}`, `"flag" has the wrong type`},
		{`{"name":"x","flag":"true"}`, `"flag" has the wrong type`},
		{`{"name":"x","flag":1}`, `"flag" has the wrong type`},
		{`{"name":["x"],"flag":true}`, `"name" has the wrong type`},
		{`{"name":"x","flag":true,"flag":false}`, `"flag" is there twice`},
		{`{"name":"x","Flag":true}`, `does not take`},
		{`{"name":"x","flag":true,"secret-field":1}`, `does not take`},
		{`{"name":"x","flag":true}{}`, `after the JSON object`},
		{`{"name":"x","flag":true} x`, `after the JSON object`},
		{`{"name":"x","flag":true`, `no JSON object`},
		{`{"name":"x",}`, `no JSON object`},
		{`{"name"}`, `no JSON object`},
		{`{1:2}`, `no JSON object`},
		{`[]`, `no JSON object`},
		{`null`, `no JSON object`},
		{`"x"`, `no JSON object`},
		{`{`, `no JSON object`},
		{`muted=true`, `no JSON object`},
		{"\xef\xbb\xbf{}", `no JSON object`},
		{"{\"name\":\"\xff\",\"flag\":true}", `not valid UTF-8`},
		{`{"name":"\ud800","flag":true}`, `surrogate`},
		{`{"name":"\udc00\ud800","flag":true}`, `surrogate`},
		{`{"name":"\uD83D\uDE00","flag":true}`, ``},
		{`{"name":"\\ud800","flag":true}`, ``},
		{`{"name":` + strings.Repeat("[", 30000) + `,"flag":true}`, `no JSON object`},
		{`{"name":` + strings.Repeat(`{"a":`, 9000) + `1` + strings.Repeat("}", 9000) + `,"flag":true}`, `"name" has the wrong type`},
	} {
		var into struct {
			Name string `json:"name"`
			Flag *bool  `json:"flag"`
		}
		err := wire.Decode([]byte(c.body), &into)
		var p *apitype.Problem
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.body, err)
		case c.want != "" && (!errors.As(err, &p) || p.Code != apitype.CodeBadJSON || !strings.Contains(p.Detail, c.want)):
			t.Errorf("%s: got %v, want %q", c.body, err, c.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error repeats the caller's text: %v", c.body, err)
		}
	}
}

// What the strict decoder takes, encoding/json takes with the same result; and
// nothing makes it panic.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"appointment_id":"a-1","muted":true}`, `{"muted":false,"appointment_id":"\u00e9"}`, `{"muted":null}`,
		`{"appointment_id":"` + strings.Repeat("[", 100), `{"appointment_id":{"a":{}}}`, "", "\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got, want struct {
			ID    string `json:"appointment_id"`
			Muted bool   `json:"muted"`
		}
		if wire.Decode(body, &got) != nil {
			return
		}
		if err := json.Unmarshal(body, &want); err != nil || got != want {
			t.Errorf("%q: decoded %+v; encoding/json gives %+v, %v", body, got, want, err)
		}
	})
}

// Of fields that may all be missing exactly one is taken.
func TestDecodeChoice(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"text":"x"}`, ""},
		{`{"open":false}`, ""},
		{`{}`, "it has 0 of its fields"},
		{`{"text":"x","open":true}`, "it has 2 of its fields"},
		{`{"open":null}`, `"open" has the wrong type`},
	} {
		var into apitype.ReportRequest
		err := wire.Decode([]byte(c.body), &into)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.body, err, c.want)
		}
	}
	if err := wire.Decode([]byte(`{}`), nil); err != nil {
		t.Errorf("no fields: %v", err)
	}
	if err := wire.Decode([]byte(`{"x":1}`), nil); err == nil {
		t.Error("a field where there is none is taken")
	}
}

// Numbers and maps are held to their tags; a map's members come once and are there.
func TestDecodeBounds(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"values":{"a":1}}`, ""},
		{`{"values":{"a":-2147483648,"b":2147483647},"n":3}`, ""},
		{`{"n":1}`, `"values" is missing`},
		{`{"values":{}}`, `"values" is out of its bounds`},
		{`{"values":{"a":1,"b":2,"c":3}}`, `"values" is out of its bounds`},
		{`{"values":{"a":1,"a":2}}`, `"values" has the wrong type`},
		{`{"values":{"a":null}}`, `"values" has the wrong type`},
		{`{"values":{"a":2147483648}}`, `"values" has the wrong type`},
		{`{"values":{"a":"1"}}`, `"values" has the wrong type`},
		{`{"values":[1]}`, `"values" has the wrong type`},
		{`{"values":null}`, `"values" has the wrong type`},
		{`{"values":{"a":1},"n":0}`, `"n" is out of its bounds`},
		{`{"values":{"a":1},"n":4}`, `"n" is out of its bounds`},
		{`{"values":{"a":1},"n":1.5}`, `"n" has the wrong type`},
	} {
		var into struct {
			Values map[string]int32 `json:"values" min:"1" max:"2"`
			N      int              `json:"n" need:"may" min:"1" max:"3"`
		}
		err := wire.Decode([]byte(c.body), &into)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.body, err, c.want)
		}
	}
	var tone apitype.ToneRequest
	for _, body := range []string{`{}`, `{"hertz":50}`, `{"hertz":50,"seconds":10}`} { // no choice
		if err := wire.Decode([]byte(body), &tone); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
}
