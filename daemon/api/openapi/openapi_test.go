package openapi_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/openapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// document makes a document and gives the value at a path of keys.
func document(t *testing.T, ops ...openapi.Operation) func(keys ...string) any {
	t.Helper()
	b, err := openapi.Document("1.2.3", ops)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return func(keys ...string) any {
		v := doc
		for _, k := range keys {
			m, ok := v.(map[string]any)
			if !ok || m[k] == nil {
				return nil
			}
			v = m[k]
		}
		return v
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type asked struct {
	Word string  `json:"word" enum:"a,b" min:"1" max:"3" pattern:"^.$"`
	Flag *bool   `json:"flag" need:"no"`
	More *string `json:"more" need:"no"`
}

type choice struct {
	A *string `json:"a" need:"no"`
	B *bool   `json:"b" need:"no"`
}

type answered struct {
	At    time.Time          `json:"at"`
	When  *time.Time         `json:"when,omitempty"`
	List  []inner            `json:"list"`
	Other *inner             `json:"other"`
	Sums  map[string]float64 `json:"sums"`
	N     uint64             `json:"n"`
	Self  []answered         `json:"self"`
}

type inner struct {
	N int `json:"n"`
}

type bounded struct {
	N      int              `json:"n" need:"may" min:"1" max:"3"`
	Values map[string]int32 `json:"values" need:"may" min:"1" max:"2"`
}

func TestSchemas(t *testing.T) {
	at := document(t, openapi.Operation{
		Method: "POST", Path: "/v1/things/{id}", Role: "screen", Summary: "Do it.", Key: true,
		Query:  []openapi.Parameter{{Name: "limit", Low: 1, High: 9, Def: 3}},
		Body:   &openapi.Body{Type: apitype.TypeJSON, Of: asked{}, Required: true},
		Answer: openapi.Answer{Status: 200, Type: apitype.TypeJSON, Of: answered{}, Description: "done"},
	}, openapi.Operation{
		Method: "PUT", Path: "/v1/things/{id}", Body: &openapi.Body{Type: apitype.TypeJSON, Of: choice{}},
		Answer: openapi.Answer{Status: 204, Description: "done"},
	}, openapi.Operation{
		Method: "PATCH", Path: "/v1/things/{id}", Body: &openapi.Body{Type: apitype.TypeJSON, Of: bounded{}},
		Answer: openapi.Answer{Status: 204, Description: "done"},
	})
	for _, c := range []struct {
		at   []string
		want string
	}{
		{[]string{"info", "version"}, `"1.2.3"`},
		{[]string{"components", "schemas", "asked"}, `{"additionalProperties":false,"properties":{"flag":{"type":"boolean"},"more":{"type":"string"},"word":{"enum":["a","b"],"maxLength":3,"minLength":1,"pattern":"^.$","type":"string"}},"required":["word"],"type":"object"}`},
		{[]string{"components", "schemas", "choice"}, `{"additionalProperties":false,"maxProperties":1,"minProperties":1,"properties":{"a":{"type":"string"},"b":{"type":"boolean"}},"type":"object"}`},
		{[]string{"components", "schemas", "bounded"}, `{"additionalProperties":false,"properties":{"n":{"maximum":3,"minimum":1,"type":"integer"},"values":{"additionalProperties":{"maximum":2147483647,"minimum":-2147483648,"type":"integer"},"maxProperties":2,"minProperties":1,"type":"object"}},"type":"object"}`},
		{[]string{"components", "schemas", "answered", "required"}, `["at","list","other","sums","n","self"]`},
		{[]string{"components", "schemas", "answered", "additionalProperties"}, `null`},
		{[]string{"components", "schemas", "answered", "properties", "at"}, `{"format":"date-time","type":"string"}`},
		{[]string{"components", "schemas", "answered", "properties", "when"}, `{"format":"date-time","type":"string"}`},
		{[]string{"components", "schemas", "answered", "properties", "list"}, `{"items":{"$ref":"#/components/schemas/inner"},"type":"array"}`},
		{[]string{"components", "schemas", "answered", "properties", "other"}, `{"oneOf":[{"$ref":"#/components/schemas/inner"},{"type":"null"}]}`},
		{[]string{"components", "schemas", "answered", "properties", "sums"}, `{"additionalProperties":{"type":"number"},"type":"object"}`},
		{[]string{"components", "schemas", "answered", "properties", "n"}, `{"minimum":0,"type":"integer"}`},
		{[]string{"components", "schemas", "answered", "properties", "self"}, `{"items":{"$ref":"#/components/schemas/answered"},"type":"array"}`},
		{[]string{"paths", "/v1/things/{id}", "post", "operationId"}, `"post_things_id"`},
		{[]string{"paths", "/v1/things/{id}", "post", "x-least-role"}, `"screen"`},
		{[]string{"paths", "/v1/things/{id}", "post", "requestBody", "required"}, `true`},
		{[]string{"paths", "/v1/things/{id}", "put", "requestBody", "required"}, `false`},
		{[]string{"paths", "/v1/things/{id}", "put", "responses", "204"}, `{"description":"done"}`},
		{[]string{"paths", "/v1/things/{id}", "put", "responses", "default"}, `{"$ref":"#/components/responses/Problem"}`},
	} {
		if got := text(t, at(c.at...)); got != c.want {
			t.Errorf("%v is\n%s, want\n%s", c.at, got, c.want)
		}
	}
	parameters := text(t, at("paths", "/v1/things/{id}", "post", "parameters"))
	for _, want := range []string{`"in":"path","name":"id","required":true`, `"in":"query","name":"limit","schema":{"default":3,"maximum":9,"minimum":1,"type":"integer"}`, `"in":"header","name":"Idempotency-Key"`} {
		if !strings.Contains(parameters, want) {
			t.Errorf("%s is not in %s", want, parameters)
		}
	}
}

// Every reference leads somewhere.
func TestReferencesLeadSomewhere(t *testing.T) {
	at := document(t, openapi.Operation{
		Method: "GET", Path: "/v1/status", Answer: openapi.Answer{Status: 200, Type: apitype.TypeJSON, Of: apitype.Status{}},
	})
	refs := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				if at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...) == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(at())
	if refs < 10 {
		t.Errorf("only %d references were seen", refs)
	}
}

func TestWhatHasNoSchemaIsAnError(t *testing.T) {
	type noName struct{ A int }
	type function struct {
		F func() `json:"f"`
	}
	type badBound struct {
		A string `json:"a" max:"many"`
	}
	for _, of := range []any{noName{}, function{}, badBound{}, complex(1, 2)} {
		_, err := openapi.Document("1", []openapi.Operation{{Method: "GET", Path: "/x", Answer: openapi.Answer{Status: 200, Type: apitype.TypeJSON, Of: of}}})
		if err == nil || !strings.HasPrefix(err.Error(), "cannot describe GET /x: ") {
			t.Errorf("%T: %v", of, err)
		}
	}
}
