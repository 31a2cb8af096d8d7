// Package screen reads the backend's documents: the screen of a PUT, the changes
// of a PATCH, the refusal of a 405. It holds every field to its bound and every
// address to the list of hosts; its errors name fields and quote nothing.
//
// Imports: standard library and daemon/backend/reach. May be imported by
// daemon/backend, which gives its types to the others.
package screen

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kioskd/daemon/backend/reach"
)

// Bounds of what a screen may hold; numbers of characters unless said.
const (
	maxTitle      = 500
	maxName       = 200
	maxRoomURL    = 2048 // bytes
	maxSecret     = 4096 // bytes, of a room's token or an ICE credential
	maxICEServers = 16
	maxICEURLs    = 8
	maxICEURL     = 512 // bytes
	maxSeconds    = 86400
)

// wireScreen is the JSON of a screen. Pointers tell "missing" from "empty".
// What we have no use for (elements, blocking, locale ...) is not even named.
type wireScreen struct {
	Title *string   `json:"title"`
	Room  *wireRoom `json:"room"`
	// A wirePatch's. Embedded, its name would get into the errors.
	Patches map[string]json.RawMessage `json:"patches"`
	Update  *string                    `json:"update"`
	Timeout *float64                   `json:"timeout"`
}

type wireRoom struct {
	Provider       *string          `json:"provider"`
	URL            *string          `json:"url"`
	Token          *string          `json:"token"`
	Expires        *string          `json:"expires"`
	ICEServers     *[]wireICEServer `json:"ice_servers"`
	Participant    *wireParticipant `json:"participant"`
	SessionSeconds *int             `json:"session_seconds"`
	WaitSeconds    *int             `json:"wait_seconds"`
	Chat           *bool            `json:"chat"`
	ReportIssue    *bool            `json:"report_issue"`
}

type wireICEServer struct {
	URLs       []string `json:"urls"`
	Username   string   `json:"username"`
	Credential string   `json:"credential"`
}

type wireParticipant struct {
	Name *string `json:"name"`
	Role *string `json:"role"`
}

// Parse reads the screen document that came from the address. Unknown fields are
// ignored; a screen without a room is a Screen with a nil Room, of which only the
// title is kept. The error names what is missing or wrong, never what is in it.
func Parse(data []byte, from *url.URL, allowed reach.Hosts) (Screen, error) {
	var wire wireScreen
	if err := decode(data, &wire); err != nil {
		return Screen{}, err
	}
	change := wirePatch{wire.Patches, wire.Update, wire.Timeout}
	patch, wrong := change.check(from, allowed)
	if wire.Room == nil {
		screen := Screen{}
		if wire.Title != nil && text(*wire.Title, maxTitle) {
			screen.Title = *wire.Title
		}
		if len(wrong) == 0 && patch.Title != nil {
			screen.Title = *patch.Title
		}
		return screen, nil
	}
	if names := wire.missing(); len(names) > 0 {
		return Screen{}, fmt.Errorf("the backend's screen lacks %s", strings.Join(names, ", "))
	}
	room, problems := wire.Room.check(allowed)
	if !text(*wire.Title, maxTitle) {
		problems = append(problems, fmt.Sprintf("title is not at most %d printable characters", maxTitle))
	}
	if problems = append(problems, wrong...); len(problems) > 0 {
		return Screen{}, wrongScreen(problems...)
	}
	screen := Screen{Title: *wire.Title, Room: room, Patch: patch}
	if patch.Title != nil { // a patch of the document's own title is its newest title
		screen.Title = *patch.Title
	}
	return screen, nil
}

// decode reads one JSON document. Its error says what is wrong without quoting
// the document: encoding/json's own texts hold pieces of it.
func decode(data []byte, into any) error {
	if !utf8.Valid(data) {
		return errors.New("the backend's screen is not UTF-8")
	}
	err := json.Unmarshal(data, into)
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		field := kind.Field
		if field == "" {
			field = "it"
		}
		return wrongScreen(ofKind(field, kind))
	case errors.As(err, &syntax):
		return fmt.Errorf("the backend's screen is not JSON (byte %d)", syntax.Offset)
	default:
		return errors.New("the backend's screen is not JSON")
	}
}

// ofKind names the kind of a value that has the wrong one. Value is a kind's
// name, or "number" with the figure behind it where that does not fit.
func ofKind(field string, kind *json.UnmarshalTypeError) string {
	found, _, figure := strings.Cut(kind.Value, " ")
	if figure {
		found += " and does not fit"
	}
	return field + " is of the kind " + found
}

func wrongScreen(problems ...string) error {
	return fmt.Errorf("the backend's screen is wrong: %s", strings.Join(problems, "; "))
}

// missing names the required fields that are not there, in the document's order.
func (w wireScreen) missing() []string {
	r := w.Room
	var names []string
	need := func(name string, there bool) {
		if !there {
			names = append(names, name)
		}
	}
	need("title", w.Title != nil)
	need("room.provider", r.Provider != nil)
	need("room.url", r.URL != nil)
	need("room.token", r.Token != nil)
	need("room.expires", r.Expires != nil)
	need("room.ice_servers", r.ICEServers != nil)
	need("room.participant", r.Participant != nil)
	if r.Participant != nil {
		need("room.participant.name", r.Participant.Name != nil)
		need("room.participant.role", r.Participant.Role != nil)
	}
	need("room.session_seconds", r.SessionSeconds != nil)
	need("room.wait_seconds", r.WaitSeconds != nil)
	need("room.chat", r.Chat != nil)
	need("room.report_issue", r.ReportIssue != nil)
	return names
}

var roleWord = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// check turns a complete wireRoom into a Room, or says all that is wrong.
func (w *wireRoom) check(allowed reach.Hosts) (*Room, []string) {
	var problems []string
	want := func(good bool, problem string, args ...any) {
		if !good {
			problems = append(problems, fmt.Sprintf(problem, args...))
		}
	}
	expires, err := time.Parse(time.RFC3339, *w.Expires)
	want(err == nil, "room.expires is not a time of RFC 3339")
	want(slices.Contains([]string{"direct", "whip", "janus", "livekit"}, *w.Provider), "room.provider is not direct, whip, janus or livekit")
	if problem := checkRoomURL(*w.URL, allowed); problem != "" {
		problems = append(problems, problem)
	}
	want(*w.Token != "" && text(*w.Token, maxSecret), "room.token is not 1 to %d printable characters", maxSecret)
	want(text(*w.Participant.Name, maxName), "room.participant.name is not at most %d printable characters", maxName)
	want(roleWord.MatchString(*w.Participant.Role), "room.participant.role is not a word of at most 64 characters")
	want(inDay(*w.SessionSeconds), "room.session_seconds is not 1 to %d", maxSeconds)
	want(inDay(*w.WaitSeconds), "room.wait_seconds is not 1 to %d", maxSeconds)
	servers, problem := checkICEServers(*w.ICEServers)
	if problem != "" {
		problems = append(problems, problem)
	}
	return &Room{
		Provider: *w.Provider, URL: *w.URL, Token: *w.Token, Expires: expires, ICEServers: servers,
		Participant:    Participant{Name: *w.Participant.Name, Role: *w.Participant.Role},
		SessionSeconds: *w.SessionSeconds, WaitSeconds: *w.WaitSeconds, Chat: *w.Chat, ReportIssue: *w.ReportIssue,
	}, problems
}

func inDay(seconds int) bool { return seconds >= 1 && seconds <= maxSeconds }

// checkRoomURL holds the rule "wss; ws only to loopback; a host of the list".
func checkRoomURL(raw string, allowed reach.Hosts) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > maxRoomURL || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return "room.url is not an address wss://host[:port][/path]"
	case u.Scheme != "wss" && (u.Scheme != "ws" || !reach.Loopback(u.Hostname())):
		return "room.url is not wss (ws only to a loopback host)"
	case !allowed.Allow(u):
		return "room.url names a host that is not on the list; add it to backend.allow_hosts if it is right"
	default:
		return ""
	}
}

// iceURL is scheme:host[:port][?transport=udp|tcp] (RFC 7064, section 3.1; RFC
// 7065, section 3.1). A TURN server lives on hosts of its own, so the list of
// hosts does not apply: it sees encrypted media, and no request of ours.
var iceURL = regexp.MustCompile(`^(stuns?|turns?):([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(\?transport=(udp|tcp))?$`)

func checkICEServers(wire []wireICEServer) ([]ICEServer, string) {
	if len(wire) > maxICEServers {
		return nil, fmt.Sprintf("room.ice_servers has more than %d entries", maxICEServers)
	}
	servers := make([]ICEServer, 0, len(wire))
	for i, w := range wire {
		if len(w.URLs) == 0 || len(w.URLs) > maxICEURLs {
			return nil, fmt.Sprintf("room.ice_servers[%d].urls has not 1 to %d entries", i, maxICEURLs)
		}
		turn := false
		for j, raw := range w.URLs {
			match := iceURL.FindStringSubmatch(raw)
			if match == nil || len(raw) > maxICEURL || match[4] != "" && strings.HasPrefix(match[1], "stun") {
				return nil, fmt.Sprintf("room.ice_servers[%d].urls[%d] is not a stun, stuns, turn or turns address", i, j)
			}
			turn = turn || strings.HasPrefix(match[1], "turn")
		}
		if turn && (w.Username == "" || w.Credential == "") {
			return nil, fmt.Sprintf("room.ice_servers[%d] has a turn address without username and credential", i)
		}
		if !text(w.Username, maxSecret) || !text(w.Credential, maxSecret) {
			return nil, fmt.Sprintf("room.ice_servers[%d] has a username or credential that is not printable", i)
		}
		servers = append(servers, ICEServer(w))
	}
	return servers, ""
}

// text holds strings to a length in characters and to what can be shown: no
// control characters, nothing that turns the writing direction around.
func text(s string, limit int) bool {
	if utf8.RuneCountInString(s) > limit {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r)
	}) < 0
}
