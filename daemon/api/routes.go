package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/wire"
)

// dispatch finds the row and lets it answer. It gives the row's number, -1 for none.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, who peer.Peer) int {
	number, allowed := s.find(r)
	if number < 0 {
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			s.fail(w, r, apitype.NewProblem(http.StatusMethodNotAllowed, apitype.CodeMethod,
				"cannot use this method here", "use "+strings.Join(allowed, " or ")))
		} else {
			s.fail(w, r, apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound,
				"cannot find this path", "the routes start with "+apitype.RouteStatus))
		}
		return number
	}
	row := &s.routes[number]
	if row.role == peer.None || who.Role < row.role {
		s.denials.Request(who, apitype.CodeForbidden, r.Method, row.path)
		s.fail(w, r, apitype.NewProblem(http.StatusForbidden, apitype.CodeForbidden,
			"cannot do this as "+who.Role.String(), "it takes the role "+row.role.String()))
		return number
	}
	if s.deps.Safe != nil && s.deps.Safe() && !row.tells() {
		s.denials.Request(who, apitype.CodeSafeMode, r.Method, row.path)
		s.fail(w, r, apitype.NewProblem(http.StatusServiceUnavailable, apitype.CodeSafeMode,
			"cannot do this: the kiosk is in safe mode, it ended three times in a row shortly after its start",
			"it tries again by itself within ten minutes; journalctl -u kioskd says why it ended, systemctl restart kioskd tries at once"))
		return number
	}
	if !row.stream {
		ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	err := wire.NoBody(r)
	if err == nil && len(row.about.Query) == 0 {
		err = wire.NoQuery(r)
	}
	if err == nil {
		err = row.handle(w, r)
	}
	if err != nil {
		s.fail(w, r, err)
	}
	return number
}

// find gives the number of a request's row, with its path values set, or -1 and the
// methods that its path has.
func (s *Server) find(r *http.Request) (number int, allowed []string) {
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
		return i, nil
	}
	slices.Sort(allowed)
	return -1, slices.Compact(allowed)
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

// fail answers with the problem that err is or stands for. Where a body may be
// left unread the connection ends with the answer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := wire.ProblemOf(err)
	if p.Code == apitype.CodeInternal {
		s.deps.Log.Error("cannot answer a control request", "method", r.Method, "error", err)
	}
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	wire.WriteProblem(w, p)
}
