package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// contract is the served openapi.json with a JSON Schema validator that knows
// nothing of ours.
type contract struct {
	doc struct {
		OpenAPI string
		Paths   map[string]map[string]operation
	}
	compiler *jsonschema.Compiler
	good     map[string]bool // "GET /v1/status" was seen with a good answer
	bad      map[string]bool // and with a problem
}

type operation struct {
	OperationID string `json:"operationId"`
	Summary     string
	Role        string `json:"x-least-role"`
	RequestBody *struct {
		Required bool
		Content  map[string]json.RawMessage
	}
	Responses map[string]struct {
		Description string
		Ref         string `json:"$ref"`
		Content     map[string]json.RawMessage
	}
}

func loadContract(t *testing.T, c *http.Client) *contract {
	t.Helper()
	r := ask(t, c, "GET", "/v1/openapi.json", "")
	k := &contract{compiler: jsonschema.NewCompiler(), good: map[string]bool{}, bad: map[string]bool{}}
	if err := json.Unmarshal(r.body, &k.doc); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	k.compiler.AssertFormat() // date-time
	if err := k.compiler.AddResource("api.json", doc); err != nil {
		t.Fatal(err)
	}
	return k
}

// find gives the path of the document that a path belongs to.
func (k *contract) find(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if k.doc.Paths[path] != nil {
		return path
	}
	elements := strings.Split(path, "/")
	best := "" // of two that fit the one with fewer parameters: "roles" is no device's id
	for p := range k.doc.Paths {
		fits := slices.EqualFunc(strings.Split(p, "/"), elements, func(w, e string) bool { return w == e || w[:min(1, len(w))] == "{" && e != "" })
		if fits && (best == "" || strings.Count(p, "{") < strings.Count(best, "{")) {
			best = p
		}
	}
	return best
}

// validate checks a text against the schema at a pointer.
func (k *contract) validate(t *testing.T, text []byte, pointer ...string) error {
	t.Helper()
	for i, p := range pointer {
		pointer[i] = strings.ReplaceAll(strings.ReplaceAll(p, "~", "~0"), "/", "~1")
	}
	schema, err := k.compiler.Compile("api.json#/" + strings.Join(pointer, "/"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

// check checks an answer against the document.
func (k *contract) check(t *testing.T, method, path string, r reply) {
	t.Helper()
	p := k.find(path)
	op, ok := k.doc.Paths[p][strings.ToLower(method)]
	if !ok {
		t.Errorf("%s %s is not in the document", method, path)
		return
	}
	if r.status >= 400 {
		k.bad[method+" "+p] = true
		if err := k.validate(t, r.body, "components", "responses", "Problem", "content", apitype.TypeProblem, "schema"); err != nil || op.Responses["default"].Ref == "" {
			t.Errorf("%s %s: the problem %s is not as described: %v", method, path, r, err)
		}
		return
	}
	k.good[method+" "+p] = true
	status := strconv.Itoa(r.status)
	answer, ok := op.Responses[status]
	contentType := r.header.Get("Content-Type")
	if _, described := answer.Content[contentType]; !ok || (contentType != "") != described || answer.Description == "" {
		t.Errorf("%s %s: %d %q is not described", method, path, r.status, contentType)
		return
	}
	if contentType != apitype.TypeJSON {
		return
	}
	if err := k.validate(t, r.body, "paths", p, strings.ToLower(method), "responses", status, "content", contentType, "schema"); err != nil {
		t.Errorf("%s %s: the answer %s is not as described: %v", method, path, r, err)
	}
}

// TestRootContract: each route and method is in openapi.json and nothing else;
// every real answer, good or bad, is as it says there.
func TestRootContract(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	api := loadContract(t, c)
	for _, e := range everything { // as the matrix asks, without a session: problems, and what reads
		api.check(t, e.method, e.path, askFirst(t, c, e.method, e.path, e.body, e.contentType))
	}
	for _, e := range everything { // as nobody: each route has a problem
		r := askFirst(t, clientOf(t, k, apitest.User{UID: 65534, GID: 65534}), e.method, e.path, e.body, e.contentType)
		api.check(t, e.method, e.path, r)
	}
	k.Plug()
	useTools(t, c, api)
	k.Health.Set("camera_missing", apitype.SeverityError, "There is no camera.", "Plug one in.")
	k.Quality.Store(&map[string]float64{"rtt_ms": 1.5})
	open(t, k, c)
	k.Arrive()
	if err := k.Await(deadline(t), session.Active, ""); err != nil {
		t.Fatal(err)
	}
	k.Say("m1", "Good morning")
	goThrough(t, c, api)
	ends := ask(t, c, "POST", "/v1/session/end-call", "")
	api.check(t, "POST", "/v1/session/end-call", ends)
	api.check(t, "GET", "/v1/session", ask(t, c, "GET", "/v1/session", ""))

	var in, want []string
	for path, item := range api.doc.Paths {
		for method, op := range item {
			name := strings.ToUpper(method) + " " + path
			in = append(in, name+" "+op.Role)
			if !api.good[name] || !api.bad[name] || op.Summary == "" {
				t.Errorf("%s: seen with a good answer %v, with a problem %v; summary %q", name, api.good[name], api.bad[name], op.Summary)
			}
		}
	}
	for _, e := range everything {
		want = append(want, e.method+" "+api.find(e.path)+" "+e.least)
	}
	slices.Sort(in)
	slices.Sort(want)
	if !slices.Equal(in, want) {
		t.Errorf("the document has\n%s\nthe test's own table\n%s", strings.Join(in, "\n"), strings.Join(want, "\n"))
	}
	if api.doc.OpenAPI != "3.1.0" {
		t.Errorf("it is of version %q", api.doc.OpenAPI)
	}
}

// useTools asks what a technician does while there is no session.
func useTools(t *testing.T, c *http.Client, api *contract) {
	t.Helper()
	for _, q := range [][3]string{
		{"PUT", "/v1/devices/roles/document", `{"device":"` + apitest.SecondCamera + `"}`},
		{"PUT", "/v1/devices/" + apitest.Camera + "/controls", `{"controls":{"` + apitest.Zoom + `":150}}`},
		{"GET", "/v1/devices/" + apitest.Camera + "/snapshot", ""},
		{"GET", "/v1/devices/" + apitest.Microphone + "/level", ""},
		{"POST", "/v1/devices/" + apitest.Speaker + "/tone", ""},
		{"POST", "/v1/devices/" + apitest.Speaker + "/tone", `{"hertz":880,"seconds":1}`},
	} {
		r := askFirst(t, c, q[0], q[1], q[2], jsonType)
		if r.status >= 400 {
			t.Errorf("%s %s %s: %v", q[0], q[1], q[2], r)
		}
		api.check(t, q[0], q[1], r)
	}
}

// goThrough asks everything that has a good answer in a running session.
func goThrough(t *testing.T, c *http.Client, api *contract) {
	t.Helper()
	for _, q := range [][3]string{
		{"PUT", "/v1/session", `{"appointment_id":"` + apitest.Canary + `"}`},
		{"PUT", "/v1/session/permissions", `{"camera":"granted","microphone":"granted"}`},
		{"POST", "/v1/session/mute", ""},
		{"POST", "/v1/session/disable-video", ""},
		{"POST", "/v1/session/swap-camera", ""},
		{"POST", "/v1/session/chat", ""},
		{"POST", "/v1/session/messages", `{"text":"Hello"}`},
		{"GET", "/v1/session/messages", ""},
		{"POST", "/v1/session/report-issue", ""},
		{"POST", "/v1/session/report-issue", `{"text":"I cannot hear"}`},
		{"GET", "/v1/reports", ""},
		{"GET", "/v1/reports/r1", ""},
		{"GET", "/v1/audit?limit=5", ""},
		{"GET", "/v1/config", ""},
		{"POST", "/v1/reload", ""},
		{"GET", "/v1/status", ""},
		{"GET", "/v1/session", ""},
		{"GET", "/v1/devices", ""},
		{"GET", "/v1/health", ""},
		{"POST", "/v1/views/self", apitest.Offer},
		{"POST", "/v1/views/remote/p1", apitest.Offer},
		{"PATCH", "/v1/views/v1", "a=x"},
		{"DELETE", "/v1/views/v1", ""},
	} {
		contentType := jsonType
		if strings.HasPrefix(q[1], "/v1/views") {
			contentType = map[string]string{"POST": sdpType, "PATCH": fragmentType}[q[0]]
		}
		r := ask(t, c, q[0], q[1], q[2], "Content-Type", contentType)
		if r.status >= 400 {
			t.Errorf("%s %s %s: %v", q[0], q[1], q[2], r)
		}
		api.check(t, q[0], q[1], r)
	}
}

// requests are bodies for the routes that take JSON. blind marks what no JSON
// Schema sees: it is refused all the same.
var requests = []struct {
	method, path, body string
	taken, blind       bool
}{
	{"PUT", "/v1/session", `{"appointment_id":"a.b-c_1"}`, true, false},
	{"PUT", "/v1/session", `{"appointment_id":"...a"}`, true, false},
	{"PUT", "/v1/session", `{"appointment_id":"` + strings.Repeat("a", 128) + `"}`, true, false},
	{"PUT", "/v1/session", `{"appointment_id":"` + strings.Repeat("a", 129) + `"}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":"."}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":".."}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":""}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":"a\n"}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":"a/b"}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":null}`, false, false},
	{"PUT", "/v1/session", `{"appointment_id":"a","more":1}`, false, false},
	{"PUT", "/v1/session", `{}`, false, false},
	{"PUT", "/v1/session/permissions", `{"camera":"denied","microphone":"dismissed"}`, true, false},
	{"PUT", "/v1/session/permissions", `{"camera":"granted"}`, false, false},
	{"PUT", "/v1/session/permissions", `{"camera":"granted","microphone":""}`, false, false},
	{"PUT", "/v1/session/permissions", `{"camera":"GRANTED","microphone":"granted"}`, false, false},
	{"POST", "/v1/session/mute", `{"muted":false}`, true, false},
	{"POST", "/v1/session/mute", `{"muted":null}`, false, false},
	{"POST", "/v1/session/mute", `{"muted":1}`, false, false},
	{"POST", "/v1/session/mute", `{}`, false, false},
	{"POST", "/v1/session/mute", `[]`, false, false},
	{"POST", "/v1/session/mute", `{"muted":true,"muted":true}`, false, true},
	{"POST", "/v1/session/mute", `{"Muted":true}`, false, false},
	{"POST", "/v1/session/disable-video", `{"disabled":true}`, true, false},
	{"POST", "/v1/session/disable-video", `{"muted":true}`, false, false},
	{"POST", "/v1/session/swap-camera", `{"camera":"usb-1"}`, true, false},
	{"POST", "/v1/session/swap-camera", `{"camera":7}`, false, false},
	{"POST", "/v1/session/chat", `{"open":true}`, true, false},
	{"POST", "/v1/session/chat", `{"open":false}`, true, false},
	{"POST", "/v1/session/chat", `{"open":"no"}`, false, false},
	{"POST", "/v1/session/chat", `{}`, false, false},
	{"POST", "/v1/session/messages", `{"text":"é \ud83d\ude00\nline"}`, true, false},
	{"POST", "/v1/session/messages", `{"text":"` + strings.Repeat("a", 2000) + `"}`, true, false},
	{"POST", "/v1/session/messages", `{"text":"` + strings.Repeat("a", 2001) + `"}`, false, false},
	{"POST", "/v1/session/messages", `{"text":"` + strings.Repeat("é", 1001) + `"}`, false, true},
	{"POST", "/v1/session/messages", `{"text":""}`, false, false},
	{"POST", "/v1/session/messages", `{"text":" \n "}`, false, false},
	{"POST", "/v1/session/messages", `{"text":"a\u0000"}`, false, false},
	{"POST", "/v1/session/messages", `{"text":"a\u001b[2J"}`, false, false},
	{"POST", "/v1/session/messages", `{"text":"a\u0085b"}`, false, false},
	{"POST", "/v1/session/messages", `{"text":"a\ud800"}`, false, true},
	{"POST", "/v1/session/messages", `{"text":"a","id":"x"}`, false, false},
	{"POST", "/v1/session/report-issue", `{"open":true}`, true, false},
	{"POST", "/v1/session/report-issue", `{"text":"It is loud."}`, true, false},
	{"POST", "/v1/session/report-issue", `{"open":false}`, true, false},
	{"POST", "/v1/session/report-issue", `{"text":"a","open":false}`, false, false},
	{"POST", "/v1/session/report-issue", `{"text":""}`, false, false},
	{"POST", "/v1/session/report-issue", `{"text":"` + strings.Repeat("a", 2001) + `"}`, false, false},
	{"POST", "/v1/session/report-issue", `{"text":null}`, false, false},
	{"POST", "/v1/session/report-issue", `{}`, false, false},
	{"PUT", "/v1/devices/roles/face", `{"device":"usb-2"}`, true, false},
	{"PUT", "/v1/devices/roles/face", `{"device":""}`, true, false},
	{"PUT", "/v1/devices/roles/face", `{"device":"a/b"}`, false, false},
	{"PUT", "/v1/devices/roles/face", `{"device":".."}`, false, true},
	{"PUT", "/v1/devices/roles/face", `{"device":"` + strings.Repeat("a", 129) + `"}`, false, false},
	{"PUT", "/v1/devices/roles/face", `{"device":null}`, false, false},
	{"PUT", "/v1/devices/roles/face", `{}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":200}}`, true, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":205}}`, false, true},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"focus":1}}`, false, true},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{}}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{` + manyControls(33) + `}}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":null}}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":"200"}}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":1.5}}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":2147483648}}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":200,"zoom_absolute":210}}`, false, true},
	{"PUT", "/v1/devices/usb-1/controls", `{"controls":[200]}`, false, false},
	{"PUT", "/v1/devices/usb-1/controls", `{}`, false, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"hertz":50,"seconds":10}`, true, false}, // refused, but not for its form
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"hertz":8000}`, true, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"seconds":1}`, true, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{}`, true, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"hertz":49}`, false, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"hertz":8001}`, false, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"seconds":0}`, false, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"seconds":11}`, false, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"hertz":440.5}`, false, false},
	{"POST", "/v1/devices/usb-1-speaker/tone", `{"volume":1}`, false, false},
	{"POST", "/v1/checks", `{}`, true, false},
	{"POST", "/v1/checks", `{"only":"clock"}`, true, false},
	{"POST", "/v1/checks", `{"only":"disk","seconds":30}`, true, false},
	{"POST", "/v1/checks", `{"without":"media"}`, true, false},
	{"POST", "/v1/checks", `{"without":"shoes"}`, false, false},
	{"POST", "/v1/checks", `{"only":"shoes"}`, false, false},
	{"POST", "/v1/checks", `{"only":["clock"]}`, false, false},
	{"POST", "/v1/checks", `{"seconds":0}`, false, false},
	{"POST", "/v1/checks", `{"seconds":31}`, false, false},
	{"POST", "/v1/checks", `{"seconds":"3"}`, false, false},
	{"POST", "/v1/checks", `{"all":true}`, false, false},
	{"POST", "/v1/session/end-call", `{}`, true, false},
	{"POST", "/v1/session/end-call", `{"now":true}`, false, false},
}

func manyControls(n int) string {
	var list []string
	for i := range n {
		list = append(list, `"c`+strconv.Itoa(i)+`":1`)
	}
	return strings.Join(list, ",")
}

// TestRootRequestSchemas: what the handlers take the schemas take, and what they
// refuse for its form the schemas refuse, but for what no schema can see.
func TestRootRequestSchemas(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	api := loadContract(t, c)
	bodies := map[string]bool{}
	for path, item := range api.doc.Paths {
		for method, op := range item {
			if op.RequestBody != nil && op.RequestBody.Content[apitype.TypeJSON] != nil {
				bodies[strings.ToUpper(method)+" "+path] = false
			}
		}
	}
	k.Plug()
	for _, q := range requests {
		if q.path != "/v1/session" {
			open(t, k, c) // again where it ended or changed
		}
		before := state(t, k)
		r := ask(t, c, q.method, q.path, q.body, "Content-Type", jsonType)
		if malformed := r.status == 400 || r.status == 422; malformed == q.taken {
			t.Errorf("%s %s %.80s: %.200v, want it taken: %v", q.method, q.path, q.body, r, q.taken)
		}
		if after := state(t, k); !q.taken && after != before {
			t.Errorf("%s %s %.80s was refused and changed\n%s to\n%s", q.method, q.path, q.body, before, after)
		}
		if q.path == "/v1/session" || strings.HasSuffix(q.path, "permissions") { // leave no trace for the next
			ask(t, c, "POST", "/v1/session/end-call", "")
		}
		path := api.find(q.path)
		err := api.validate(t, []byte(q.body), "paths", path, strings.ToLower(q.method), "requestBody", "content", apitype.TypeJSON, "schema")
		if !q.blind && (err == nil) != q.taken {
			t.Errorf("%s %s %.80s: the schema says %v, the handler takes it: %v", q.method, q.path, q.body, err, q.taken)
		}
		bodies[q.method+" "+path] = true
	}
	for name, tried := range bodies {
		if !tried {
			t.Errorf("%s takes JSON and is not tried", name)
		}
	}
	for name, want := range map[string]bool{
		"PUT /v1/session": true, "POST /v1/session/mute": false, "POST /v1/session/messages": true, "POST /v1/session/chat": false,
	} {
		method, path, _ := strings.Cut(name, " ")
		if got := api.doc.Paths[path][strings.ToLower(method)].RequestBody.Required; got != want {
			t.Errorf("%s: a body is required: %v, want %v", name, got, want)
		}
	}
}
