package main

import (
	"encoding/json"
	"net/http"

	"kioskd/daemon/api/apitype"
)

// Codes of the problems the door itself makes; all others are the daemon's.
const (
	codeUnreachable = "daemon_unreachable"
	codeClosed      = "screen_closed"
	codeRefused     = "screen_refused"
)

// writeProblem answers with RFC 9457 problem+json, as the daemon does.
func writeProblem(w http.ResponseWriter, p *apitype.Problem) {
	data, err := json.Marshal(p)
	if err != nil { // a Problem is four strings and a number
		http.Error(w, p.Title, p.Status)
		return
	}
	w.Header().Set("Content-Type", apitype.TypeProblem)
	w.WriteHeader(p.Status)
	_, _ = w.Write(data) // a page that is gone needs no answer
}

func problemUnreachable() *apitype.Problem {
	return apitype.NewProblem(http.StatusBadGateway, codeUnreachable,
		"cannot reach kioskd", "it is starting, or not running: systemctl status kioskd")
}

func problemClosed() *apitype.Problem {
	return apitype.NewProblem(http.StatusUnauthorized, codeClosed,
		"cannot use the screen without its link", "open the one-use link that kioskscreen wrote")
}

func problemRefused() *apitype.Problem {
	return apitype.NewProblem(http.StatusForbidden, codeRefused,
		"cannot take a request that is not from the kiosk's page", "use kioskctl, or the control socket")
}

func problemNotFound() *apitype.Problem {
	return apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound,
		"cannot pass on that call", "the screen has no such route")
}

func problemMethod() *apitype.Problem {
	return apitype.NewProblem(http.StatusMethodNotAllowed, apitype.CodeMethod,
		"cannot use that method here", "see the header Allow")
}

func problemMediaType(rt route) *apitype.Problem {
	hint := "send no body"
	if rt.body != "" {
		hint = "send " + rt.body
	}
	return apitype.NewProblem(http.StatusUnsupportedMediaType, apitype.CodeMediaType,
		"cannot take a body of that type", hint)
}

func problemTooLarge() *apitype.Problem {
	return apitype.NewProblem(http.StatusRequestEntityTooLarge, apitype.CodeTooLarge,
		"cannot take a body over 64 KiB", "send less")
}

func problemBody() *apitype.Problem {
	return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest,
		"cannot read the request's body", "send it whole within 5 s")
}
