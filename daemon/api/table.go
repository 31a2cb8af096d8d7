package api

import (
	"net/http"
	"slices"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/openapi"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/whep"
)

// route is one row of the table: what may be asked, by whom at least, and who
// answers. A row without a role lets nobody in. What else it says is for
// openapi.json; a row that names no query takes none.
type route struct {
	method string
	path   string    // {name} stands for one path element
	role   peer.Role // the least role
	stream bool      // lasts; no deadline of work
	handle handler
	about  openapi.Operation // Summary, Body, Query, Key, Answer
}

// tells says whether a row only tells, and touches no device.
func (r route) tells() bool {
	return r.method == http.MethodGet && !strings.HasPrefix(r.path, "/v1/devices/")
}

type handler func(http.ResponseWriter, *http.Request) error

// table is all that the API answers to.
func (s *Server) table() []route {
	return slices.Concat(s.sessionRows(), s.deviceRows(), s.otherRows())
}

func (s *Server) sessionRows() []route {
	return []route{
		read("/v1/session", peer.Screen, s.getSession, "The session, or null.", (*apitype.Session)(nil)),
		command("PUT", "/v1/session", s.putSession, "Open an appointment.", must(apitype.OpenRequest{})),
		command("PUT", "/v1/session/permissions", s.putPermissions, "The patient's answer to the permission request.", must(apitype.PermissionsRequest{})),
		command("POST", "/v1/session/mute", s.postMute, "Mute or unmute the microphone; an empty body toggles.", may(apitype.MuteRequest{})),
		command("POST", "/v1/session/disable-video", s.postDisableVideo, "Disable or enable the video; an empty body toggles.", may(apitype.DisableVideoRequest{})),
		command("POST", "/v1/session/swap-camera", s.postSwapCamera, "Use another camera; an empty body takes the next.", may(apitype.SwapCameraRequest{})),
		command("POST", "/v1/session/chat", s.postChat, "Open or close the chat; an empty body opens.", may(apitype.ChatRequest{})),
		command("POST", "/v1/session/report-issue", s.postReportIssue, "Open or close the issue reporting flow, or hand a report in; an empty body opens.", may(apitype.ReportRequest{})),
		command("POST", "/v1/session/end-call", s.postEndCall, "End the call.", may(nil)),
		read("/v1/session/messages", peer.Screen, s.getMessages, "The chat, oldest first.", apitype.Messages{}),
		command("POST", "/v1/session/messages", s.postMessage, "Say something in the chat.", must(apitype.MessageRequest{})).answers(apitype.MessageAnswer{}),
	}
}

// deviceRows come in this order: "roles" is no device's id.
func (s *Server) deviceRows() []route {
	role := command("PUT", "/v1/devices/roles/{role}", s.putRole, "Bind a device to a role; an empty id takes the binding away.", must(apitype.RoleRequest{})).answers(apitype.Devices{})
	controls := command("PUT", "/v1/devices/{id}/controls", s.putControls, "Set controls of a camera and keep them.", must(apitype.ControlsRequest{})).answers(apitype.DeviceControls{})
	snapshot := read("/v1/devices/{id}/snapshot", peer.Technician, s.getSnapshot, "One picture of a camera.", nil)
	snapshot.about.Answer.Type = apitype.TypeJPEG
	level := read("/v1/devices/{id}/level", peer.Technician, s.getLevel, "A microphone's level as server-sent events, ten a second.", nil)
	level.stream, level.about.Answer.Type = true, apitype.TypeEventStream
	tone := command("POST", "/v1/devices/{id}/tone", s.postTone, "Play a tone on a speaker; an empty body plays 440 Hz for 2 s.", may(apitype.ToneRequest{}))
	tone.stream, tone.about.Answer = true, openapi.Answer{Status: http.StatusNoContent, Description: "it has been played"}
	rows := []route{role, controls, snapshot, level, tone}
	for i := range rows {
		rows[i].role, rows[i].about.Key = peer.Technician, false
	}
	return append(rows, read("/v1/devices", peer.Screen, s.getDevices, "Cameras, microphones and speakers.", apitype.Devices{}))
}

func (s *Server) otherRows() []route {
	events := read("/v1/events", peer.Screen, s.hub.Serve, "Changes and outputs as server-sent events.", nil)
	events.stream, events.about.Answer.Type = true, apitype.TypeEventStream
	audit := read("/v1/audit", peer.Technician, s.getAudit, "The newest entries of the journal, oldest first.", apitype.Audit{})
	audit.about.Query = []openapi.Parameter{{Name: "limit", Low: 1, High: maxAudit, Def: defaultAudit}}
	reload := command("POST", "/v1/reload", s.postReload, "Read the settings anew; what cannot change at runtime is named.", nil).answers(apitype.ReloadAnswer{})
	reload.role, reload.about.Key, reload.about.Answer.Description = peer.Technician, false, "what changed"
	checks := command("POST", "/v1/checks", s.postChecks, "Check what a call needs; an empty body runs all checks.", may(apitype.ChecksRequest{})).answers(apitype.Checks{})
	checks.stream, checks.about.Key, checks.about.Answer.Description = true, false, "how each check went"
	figures := read("/v1/metrics", peer.Screen, s.getMetrics, "Figures as Prometheus reads them.", nil)
	figures.about.Answer.Type = apitype.TypeMetrics
	views := whep.Handler{Views: s.deps.Views}
	return []route{
		read("/v1/status", peer.Screen, s.getStatus, "Session, devices, conditions and version at once.", apitype.Status{}),
		events,
		view("POST", "/v1/views/self", views.Self, "View the kiosk's own picture (WHEP): an SDP offer.", apitype.TypeSDP, http.StatusCreated),
		view("POST", "/v1/views/remote/{participant}", views.Remote, "View a participant (WHEP): an SDP offer.", apitype.TypeSDP, http.StatusCreated),
		view("PATCH", "/v1/views/{id}", views.Patch, "Trickled candidates of a view.", apitype.TypeSDPFragment, http.StatusNoContent),
		view("DELETE", "/v1/views/{id}", views.Delete, "End a view.", "", http.StatusOK),
		checks,
		figures,
		read("/v1/health", peer.Screen, s.getHealth, "What is wrong right now.", apitype.Health{}),
		read("/v1/openapi.json", peer.Screen, s.getOpenAPI, "This description.", nil),
		read("/v1/reports", peer.Technician, s.getReports, "Issue reports that wait to be sent, oldest first.", apitype.Reports{}),
		read("/v1/reports/{id}", peer.Technician, s.getReport, "A report's bundle, as it will be sent.", nil),
		audit,
		read("/v1/config", peer.Technician, s.getConfig, "The settings in force.", nil),
		reload,
	}
}

// read is a row that changes nothing and answers with JSON.
func read(path string, role peer.Role, handle handler, summary string, of any) route {
	return route{method: "GET", path: path, role: role, handle: handle, about: openapi.Operation{
		Summary: summary, Answer: openapi.Answer{Status: http.StatusOK, Type: apitype.TypeJSON, Of: of, Description: "as asked"},
	}}
}

// command is a row that has the session do something.
func command(method, path string, handle handler, summary string, body *openapi.Body) route {
	return route{method: method, path: path, role: peer.Screen, handle: handle, about: openapi.Operation{
		Summary: summary, Body: body, Key: true,
		Answer: openapi.Answer{Status: http.StatusOK, Type: apitype.TypeJSON, Of: apitype.CommandAnswer{}, Description: "the session after it"},
	}}
}

// answers gives the row another answer.
func (r route) answers(of any) route {
	r.about.Answer.Of = of
	return r
}

// must is a body that has to be there, may one that can be empty.
func must(of any) *openapi.Body {
	return &openapi.Body{Type: apitype.TypeJSON, Of: of, Required: true}
}

func may(of any) *openapi.Body { return &openapi.Body{Type: apitype.TypeJSON, Of: of} }

// view is a row of WHEP.
func view(method, path string, handle handler, summary, body string, status int) route {
	r := route{method: method, path: path, role: peer.Screen, handle: handle, about: openapi.Operation{
		Summary: summary, Answer: openapi.Answer{Status: status, Description: "done"},
	}}
	if body != "" {
		r.about.Body = &openapi.Body{Type: body, Required: true}
	}
	if status == http.StatusCreated {
		r.about.Answer.Type = apitype.TypeSDP
		r.about.Answer.Description = "the SDP answer; Location is the view"
	}
	return r
}

// describe makes the description of a table.
func describe(version string, table []route) ([]byte, error) {
	operations := make([]openapi.Operation, 0, len(table))
	for _, r := range table {
		op := r.about
		op.Method, op.Path, op.Role = r.method, r.path, r.role.String()
		operations = append(operations, op)
	}
	return openapi.Document(version, operations)
}
