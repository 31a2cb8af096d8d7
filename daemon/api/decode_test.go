package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
)

func TestDecodeObject(t *testing.T) {
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
	} {
		var name string
		var flag bool
		err := decodeObject([]byte(c.body), map[string]any{"name": &name, "flag": &flag})
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
func FuzzDecodeObject(f *testing.F) {
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
		if decodeObject(body, map[string]any{"appointment_id": &got.ID, "muted": &got.Muted}) != nil {
			return
		}
		if err := json.Unmarshal(body, &want); err != nil || got != want {
			t.Errorf("%q: decoded %+v; encoding/json gives %+v, %v", body, got, want, err)
		}
	})
}
