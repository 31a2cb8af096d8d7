package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
)

// route is one row of the table: what may be asked, by whom at least, and who
// answers. A row without a role lets nobody in.
type route struct {
	method string
	path   string    // {name} stands for one path element
	role   peer.Role // the least role
	stream bool      // lasts; no deadline of work
	handle func(http.ResponseWriter, *http.Request) error
}

// table is all that the API answers to.
func (s *Server) table() []route {
	return []route{
		{method: "GET", path: "/v1/status", role: peer.Screen, handle: s.getStatus},
		{method: "GET", path: "/v1/events", role: peer.Screen, handle: s.hub.Serve, stream: true},
		{method: "GET", path: "/v1/session", role: peer.Screen, handle: s.getSession},
		{method: "PUT", path: "/v1/session", role: peer.Screen, handle: s.putSession},
		{method: "POST", path: "/v1/session/mute", role: peer.Screen, handle: s.postMute},
		{method: "POST", path: "/v1/session/disable-video", role: peer.Screen, handle: s.postDisableVideo},
		{method: "POST", path: "/v1/session/swap-camera", role: peer.Screen, handle: s.postSwapCamera},
		{method: "POST", path: "/v1/session/end-call", role: peer.Screen, handle: s.postEndCall},
		{method: "POST", path: "/v1/views/self", role: peer.Screen, handle: s.postViewSelf},
		{method: "POST", path: "/v1/views/remote/{participant}", role: peer.Screen, handle: s.postViewRemote},
		{method: "PATCH", path: "/v1/views/{id}", role: peer.Screen, handle: s.patchView},
		{method: "DELETE", path: "/v1/views/{id}", role: peer.Screen, handle: s.deleteView},
		{method: "GET", path: "/v1/devices", role: peer.Screen, handle: s.getDevices},
		{method: "GET", path: "/v1/health", role: peer.Screen, handle: s.getHealth},
	}
}

// dispatch finds the row and lets it answer. It gives the row's path for the log.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, who peer.Peer) string {
	row, allowed := s.find(r)
	if row == nil {
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			s.fail(w, r, apitype.NewProblem(http.StatusMethodNotAllowed, apitype.CodeMethod,
				"cannot use this method here", "use "+strings.Join(allowed, " or ")))
		} else {
			s.fail(w, r, apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound,
				"cannot find this path", "the routes start with "+apitype.RouteStatus))
		}
		return "none"
	}
	if row.role == peer.None || who.Role < row.role {
		s.deny(who, apitype.CodeForbidden, row.path)
		s.fail(w, r, apitype.NewProblem(http.StatusForbidden, apitype.CodeForbidden,
			"cannot do this as "+who.Role.String(), "it takes the role "+row.role.String()))
		return row.path
	}
	if !row.stream {
		ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	err := noBody(r)
	if err == nil {
		err = row.handle(w, r)
	}
	if err != nil {
		s.fail(w, r, err)
	}
	return row.path
}

// find gives the row of a request, with its path values set, or the methods
// that its path has.
func (s *Server) find(r *http.Request) (row *route, allowed []string) {
	for i := range s.routes {
		values, ok := match(s.routes[i].path, r.URL.Path)
		if !ok {
			continue
		}
		if s.routes[i].method != r.Method {
			allowed = append(allowed, s.routes[i].method)
			continue
		}
		for name, value := range values {
			r.SetPathValue(name, value)
		}
		return &s.routes[i], nil
	}
	slices.Sort(allowed)
	return nil, slices.Compact(allowed)
}

// match compares a path with a pattern, element by element. {name} takes an
// identifier: 1 to 128 of A-Z a-z 0-9 . _ - and never the dots alone.
func match(pattern, path string) (values map[string]string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	for i, w := range want {
		if name, isVar := strings.CutPrefix(w, "{"); isVar {
			if !identifier(got[i]) {
				return nil, false
			}
			if values == nil {
				values = map[string]string{}
			}
			values[strings.TrimSuffix(name, "}")] = got[i]
		} else if w != got[i] {
			return nil, false
		}
	}
	return values, true
}

// identifier tells whether text can be an id in a path.
func identifier(text string) bool {
	if len(text) == 0 || len(text) > 128 || strings.Trim(text, ".") == "" {
		return false
	}
	for _, c := range []byte(text) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// noBody refuses a body where the method has none, so that a connection can be
// used again without reading what nobody wants.
func noBody(r *http.Request) error {
	if (r.Method == http.MethodGet || r.Method == http.MethodDelete) && r.ContentLength != 0 {
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest,
			"cannot take a body with "+r.Method, "leave the body out")
	}
	return nil
}
