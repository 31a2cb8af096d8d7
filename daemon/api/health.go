package api

import (
	"net/http"
	"slices"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
)

// getHealth answers 200 with ok false while something is wrong: the API itself
// works, and a monitor reads the field.
func (s *Server) getHealth(w http.ResponseWriter, _ *http.Request) error {
	list := s.deps.Health.List()
	bad := slices.ContainsFunc(list, func(c apitype.Condition) bool { return c.Severity == apitype.SeverityError })
	wire.WriteJSON(w, apitype.Health{OK: !bad, Conditions: list})
	return nil
}
