package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestElements plays the nine elements of the screen's contract in one call, on
// the touchscreen page itself: two cameras, chat and issue reports supported.
func TestElements(t *testing.T) {
	c := theScene(t, stage.Options{Cameras: 2})
	c.join(t, "clinician")
	c.open(t, "elements", apitype.StateActive)
	c.flows(t)
	c.plays(t, []row{
		{"1 Video area", videoArea},
		{"2 Participant label", participantLabel},
		{"3 Session timer", sessionTimer},
		{"4 Mute action", muteElement},
		{"5 Disable video action", disableVideoElement},
		{"6 Swap camera action", swapCameraElement},
		{"7 Chat action", chatElement},
		{"9 Report issue action", reportIssueElement},
		{"Order of controls", orderOfControls},
		{"8 End call action", endCallElement}, // last: nothing is left after it
	})
}

// videoArea: the participants' pictures and the patient's own, live.
func videoArea(t *testing.T, c *scene) {
	for _, v := range []string{"#remote-video-0", "#self-video"} {
		if err := c.screen.Watch(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		until(t, v+" shows new pictures", 15*time.Second, func() (bool, string) {
			seen, err := c.screen.Read(t.Context(), v)
			return err == nil && seen.Coded > 5, fmt.Sprintf("%+v %v", seen, err)
		})
	}
	if err := c.screen.StopWatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.flows(t)
}

func participantLabel(t *testing.T, c *scene) {
	p := c.session(t).Participants
	if len(p) != 1 || p[0].Role != "clinician" || p[0].Name == "" || !p[0].Video || !p[0].Audio {
		t.Fatalf("participants are %s", line(p))
	}
	label := c.text(t, fmt.Sprintf("figcaption[data-participant=%q]", p[0].ID))
	if !strings.Contains(label, p[0].Name) {
		t.Errorf("the label says %q", label)
	}
}

func sessionTimer(t *testing.T, c *scene) {
	before := c.session(t)
	if !before.TimerRunning || before.StartedAt == nil {
		t.Fatalf("the timer does not run: %s", line(before))
	}
	shown := c.text(t, "#timer")
	c.sees(t, fmt.Sprintf("document.querySelector('#timer').textContent !== %q", shown))
	c.sees(t, "/^\\d\\d:\\d\\d$/.test(document.querySelector('#timer').textContent)")
	since := int(time.Since(*before.StartedAt) / time.Second)
	if now := int(numbers(t, c.screen, "Number(document.querySelector('#timer').dataset.timer)")); now < since-1 || now > since+1 {
		t.Errorf("the page's timer says %d s, the call has been active for %d s", now, since)
	}
}

func muteElement(t *testing.T, c *scene) {
	c.outs.drop()
	c.press(t, "mute")
	c.emits(t, "audio", "updated")
	c.sees(t, "document.querySelector('button[data-reference=mute]').textContent.includes('Unmute')")
	if k := c.listed(t, "mute"); k.Value != "Unmute" {
		t.Errorf("the control reads %q", k.Value)
	}
	c.clinicSees(t, "sim.audio.rms < 1e-4")
	c.press(t, "mute")
	c.emits(t, "audio", "updated")
	c.clinicSees(t, fmt.Sprintf("sim.audio.rms > 1e-3 && Math.abs(sim.audio.peakHz - %d) < 15", stage.ToneHz))
}

func disableVideoElement(t *testing.T, c *scene) {
	c.outs.drop()
	c.press(t, "disable-video")
	c.emits(t, "video", "updated")
	c.dark(t, 0, time.Second)
	c.sees(t, "document.querySelector('#self').dataset.off === 'true'")
	if k := c.listed(t, "disable-video"); k.Value != "Enable video" {
		t.Errorf("the control reads %q", k.Value)
	}
	c.press(t, "disable-video")
	c.emits(t, "video", "updated")
	c.flows(t)
}

func swapCameraElement(t *testing.T, c *scene) {
	c.outs.drop()
	c.seesCamera(t, 0)
	offers := numbers(t, c.clinic, "sim.offers")
	c.press(t, "swap-camera")
	c.emits(t, "camera", "updated")
	c.seesCamera(t, 1)
	c.dark(t, 0, 2*time.Second)
	c.press(t, "swap-camera")
	c.emits(t, "camera", "updated")
	c.seesCamera(t, 0)
	if now := numbers(t, c.clinic, "sim.offers"); now != offers {
		t.Errorf("the swaps made %v new offers", now-offers)
	}
}

func chatElement(t *testing.T, c *scene) {
	c.outs.drop()
	c.press(t, "chat")
	c.emits(t, "chat", "opened")
	c.sees(t, "!document.querySelector('#chat').hidden")
	c.does(t, `sim.sendChat("How are you? <b>&</b>")`)
	c.sees(t, `document.querySelector('#chat-list').textContent.includes("How are you? <b>&</b>")`)
	c.clinicSees(t, "sim.messages.length === 1 && sim.messages[0].acked !== false")
	if _, err := stage.Eval[bool](t.Context(), c.screen,
		`(document.querySelector('#chat-text').value = "Fine, thank you", document.querySelector('#chat-form').requestSubmit(), true)`); err != nil {
		t.Fatal(err)
	}
	c.clinicSees(t, `sim.messages.some(m => m.text === "Fine, thank you")`)
	until(t, "the message counts as delivered", 5*time.Second, func() (bool, string) {
		s := c.session(t)
		return s.Chat.Delivered == 1 && s.Chat.Total == 2, line(s.Chat)
	})
	c.press(t, "chat") // closes
	c.sees(t, "document.querySelector('#chat').hidden")
	c.does(t, `sim.sendChat("Are you there?")`)
	c.sees(t, `document.querySelector('button[data-reference=chat]').dataset.badge === "1"`)
	if s := c.session(t); s.Chat.Unread != 1 || s.Chat.Open {
		t.Errorf("chat is %s", line(s.Chat))
	}
}

func reportIssueElement(t *testing.T, c *scene) {
	c.outs.drop()
	c.press(t, "report-issue")
	c.sees(t, "!document.querySelector('#report').hidden")
	if !c.session(t).Report.Open {
		t.Error("the session does not say that the flow is open")
	}
	if _, err := c.api.SubmitReport(t.Context(), ""); err == nil {
		t.Error("a report without words was taken")
	} else {
		refusedWith(t, err, "issue_required")
	}
	if _, err := stage.Eval[bool](t.Context(), c.screen,
		`(document.querySelector('#report textarea').value = "The sound is bad", document.querySelector('#report form').requestSubmit(), true)`); err != nil {
		t.Fatal(err)
	}
	c.emits(t, "issue", "submitted")
	until(t, "the backend has the report", 10*time.Second, func() (bool, string) {
		list, err := c.Reports(t.Context())
		return err == nil && len(list) == 1 && strings.Contains(list[0].Issue, "The sound is bad"), fmt.Sprintf("%d reports, %v", len(list), err)
	})
	until(t, "the session says so", 5*time.Second, func() (bool, string) {
		s := c.session(t)
		return s.Report.Sent && !s.Report.Open, line(s.Report)
	})
	list, err := c.Reports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"states"`, `"active"`, `"statistics"`, `"devices"`, `"log"`, "control request"} {
		if !strings.Contains(string(list[0].Bundle), part) {
			t.Errorf("the bundle has no %s", part)
		}
	}
	for _, canary := range []string{"elements", "Dr. Example", "The sound is bad", "How are you?"} {
		if strings.Contains(string(list[0].Bundle), canary) {
			t.Errorf("the bundle holds %q", canary)
		}
	}
}

// orderOfControls: the seed's order, the invisible start, chat after mute.
func orderOfControls(t *testing.T, c *scene) {
	var got []string
	for _, k := range c.session(t).Controls {
		got = append(got, fmt.Sprintf("%d %s %s %q %q %t", k.Level, k.Reference, k.Type, k.Value, k.Placement, k.Visible))
	}
	want := []string{
		`1 start-call Button "Start call" "" false`, `1 end-call Link "End call" "~" true`, `1 report-issue Link "Report issue" "~" true`,
		`1 spacer Spacer "" "~" true`, `1 swap-camera Link "Swap camera" "~" true`, `1 disable-video Link "Disable video" "~" true`,
		`1 mute Link "Mute" "~" true`, `1 chat Link "Chat" "~" true`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("controls are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	shown, err := stage.Eval[string](t.Context(), c.screen,
		`[...document.querySelectorAll("#controls button[data-reference]")].filter(b => b.offsetParent).map(b => b.dataset.reference).join(" ")`)
	if err != nil || shown != "end-call report-issue swap-camera disable-video mute chat" {
		t.Errorf("the page draws %q (%v)", shown, err)
	}
}

func endCallElement(t *testing.T, c *scene) {
	c.outs.drop()
	c.press(t, "end-call")
	c.emits(t, "state", "ended")
	c.reaches(t, apitype.StateEnded)
	c.clinicSees(t, `sim.state === "patient-left"`)
	c.dark(t, 0, 2*time.Second)
	c.dark(t, 1, 2*time.Second)
}
