package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
	"kioskd/systemd/vm/agent"
	"kioskd/systemd/vm/farside"
)

// row is one promise, played. It gives its figures, also with an error.
type row struct {
	name string
	play func(context.Context, *rig) (string, error)
}

// rows are all of them, in the order of one call's life.
func rows() []row {
	return []row{
		{"boot", boot},
		{"kioskd under systemd", underSystemd},
		{"plugged after the start", pluggedLater},
		{"device access", deviceAccess},
		{"installed while it runs", freshRules},
		{"devices by stable names", namedDevices},
		{"drivers go and come, no call", withoutCall},
		{"call with the far side", callBegins},
		{"steady pictures and sound", steady},
		{"cameras unplugged, plugged", unplugged},
		{"vivid: disconnect", disconnected},
		{"vivid: no frames", noFrames},
		{"vivid: errors in stream", streamErrors},
		{"sound card away and back", soundAway},
		{"video off closes the camera", videoOff},
		{"end of call closes all", ended},
		{"kioskd came through", cameThrough},
	}
}

// A command in the machine takes a second where a process starts in milliseconds.
const commandWithin = 30 * time.Second

func boot(ctx context.Context, r *rig) (string, error) {
	release, err := r.agent.Must(ctx, commandWithin, "uname", "-r")
	if err != nil {
		return "", err
	}
	first, err := r.agent.Must(ctx, commandWithin, "cat", "/proc/1/comm")
	if err == nil && strings.TrimSpace(first) != "systemd" {
		err = fmt.Errorf("process 1 is %q", strings.TrimSpace(first))
	}
	return fmt.Sprintf("kernel %s answers after %.1f s, process 1 is %s", strings.TrimSpace(release), r.bootTook.Seconds(), strings.TrimSpace(first)), err
}

// unitProperties asks systemd about the daemon's unit.
func (r *rig) unitProperties(ctx context.Context) (map[string]string, error) {
	text, err := r.agent.Must(ctx, commandWithin, "systemctl", "show", "kioskd.service",
		"-p", "ActiveState,User,NRestarts,MemoryCurrent,CPUUsageNSec,InactiveExitTimestampMonotonic,ActiveEnterTimestampMonotonic")
	return promise.Fields(text), err
}

// underSystemd: Type=notify makes the unit active at READY=1.
func underSystemd(ctx context.Context, r *rig) (string, error) {
	const within = 90 * time.Second
	last := time.Now().Add(within)
	for {
		p, err := r.unitProperties(ctx)
		if err != nil {
			return "", err
		}
		if p["ActiveState"] == "active" {
			from, err1 := strconv.Atoi(p["InactiveExitTimestampMonotonic"])
			to, err2 := strconv.Atoi(p["ActiveEnterTimestampMonotonic"])
			if p["User"] != "kioskd" || p["NRestarts"] != "0" {
				err = fmt.Errorf("it runs as %q and was restarted %s times", p["User"], p["NRestarts"])
			}
			took := time.Duration(to-from) * time.Microsecond
			return fmt.Sprintf("its own unit, as user %s, ready %s after its start, by systemd's clock", p["User"], promise.MS(took)), errors.Join(err, err1, err2)
		}
		if time.Now().After(last) {
			return "", fmt.Errorf("kioskd.service is %q after %v", p["ActiveState"], within)
		}
		if err := promise.Pause(ctx, 500*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// present are the ids of the devices of a kind that are plugged in, sorted.
func (r *rig) present(ctx context.Context, kind string) ([]string, error) {
	list, err := r.kiosk.Devices(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, d := range list {
		if d.Kind == kind && d.Present {
			ids = append(ids, d.ID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// namedDevices: a name that is a node's would be another camera's tomorrow.
func namedDevices(ctx context.Context, r *rig) (string, error) {
	ids, err := r.bothBack(ctx)
	if err != nil {
		return "", err
	}
	mic, err := r.microphoneOfCard(ctx)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("cameras %s; microphone %s", strings.Join(ids, ", "), mic)
	if len(ids) != 2 || ids[0] == ids[1] || slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, "/dev/") }) {
		return figures, errors.New("there must be two cameras, with names of their own that are no nodes")
	}
	if !strings.Contains(mic, "mic0") && !strings.Contains(strings.ToLower(mic), "loop") {
		return figures, errors.New("the microphone must be the sound card's, by the card's own name")
	}
	return figures, r.shownToTechnician(ctx, append(ids, mic))
}

// microphoneOfCard is the id of the microphone in use, once it is the card's own: before
// the driver is there the configured name stands in for it.
func (r *rig) microphoneOfCard(ctx context.Context) (string, error) {
	const within = 20 * time.Second
	for last := time.Now().Add(within); ; {
		list, err := r.kiosk.Devices(ctx)
		if err != nil {
			return "", err
		}
		mic := ""
		for _, d := range list {
			if d.Kind == apitype.KindMicrophone && d.Role == apitype.RoleMicrophone && d.Present {
				mic = d.ID
			}
		}
		if strings.Contains(mic, "aloop") || time.Now().After(last) {
			return mic, nil
		}
		if err := promise.Pause(ctx, 200*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// shownToTechnician: the real kioskctl, inside, lists them too.
func (r *rig) shownToTechnician(ctx context.Context, ids []string) error {
	text, err := r.agent.Must(ctx, commandWithin, "kioskctl", "devices")
	for _, id := range ids {
		if err == nil && !strings.Contains(text, id) {
			err = fmt.Errorf("kioskctl devices does not name %s:\n%s", id, text)
		}
	}
	return err
}

const appointment = "vm-1"

func callBegins(ctx context.Context, r *rig) (string, error) {
	var err error
	r.far, err = farside.Join(ctx, farside.Options{Backend: r.backend, Token: r.token, Appointment: appointment, Address: outsideAddress})
	if err != nil {
		return "", err
	}
	if _, err := r.agent.Must(ctx, commandWithin, "systemctl", "start", "tone"); err != nil {
		return "", err
	}
	const within = 90 * time.Second
	began := time.Now()
	if _, err := r.kiosk.Open(ctx, appointment); err != nil {
		return "", err
	}
	if err := r.states.await(ctx, apitype.StateActive, within); err != nil {
		return "", err
	}
	active := time.Since(began)
	picture, err := r.far.Await(ctx, farside.Live, began, within)
	if err != nil {
		return "", err
	}
	sound, err := r.far.Await(ctx, farside.Tone, began, within)
	return fmt.Sprintf("after the opening: active %s, first picture %s, first tone %s (allowed here %v)", promise.MS(active), promise.MS(picture), promise.MS(sound), within), err
}

// steady looks at ten quiet seconds.
func steady(ctx context.Context, r *rig) (string, error) {
	const look = 10 * time.Second
	// An emulated processor may not keep up where others use the real one.
	const leastPictures, leastTone = 5.0, 0.5
	began := time.Now()
	pictures, tone, quiet := r.far.Count(farside.Live), r.far.Count(farside.Tone), r.far.Count(farside.Quiet)
	if err := promise.Pause(ctx, look); err != nil {
		return "", err
	}
	took := time.Since(began).Seconds()
	pictures, tone, quiet = r.far.Count(farside.Live)-pictures, r.far.Count(farside.Tone)-tone, r.far.Count(farside.Quiet)-quiet
	rate, share := float64(pictures)/took, float64(tone)/max(1, float64(tone+quiet))
	figures := fmt.Sprintf("%.1f pictures/s (15 asked for), tone in %.0f %% of %d packets of sound", rate, 100*share, tone+quiet)
	var err error
	if rate < leastPictures || share < leastTone {
		err = fmt.Errorf("at least %.0f pictures/s and a tone in %.0f %% are wanted", leastPictures, 100*leastTone)
	}
	return figures, errors.Join(err, r.states.stayed(began))
}

// held lists what the daemon has open, of paths that begin with prefix.
func (r *rig) held(ctx context.Context, prefix string) ([]agent.Holder, error) {
	list, err := r.agent.Open(ctx)
	return slices.DeleteFunc(list, func(h agent.Holder) bool {
		return h.Name != "kioskd" || !strings.HasPrefix(h.Path, prefix)
	}), err
}

// paths are those of a list, each once.
func paths(list []agent.Holder) string {
	var out []string
	for _, h := range list {
		out = append(out, h.Path)
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ", ")
}

// closed waits until the daemon has nothing open below prefix and gives the time
// since then.
func (r *rig) closed(ctx context.Context, prefix string, since time.Time, within time.Duration) (time.Duration, error) {
	for {
		list, err := r.held(ctx, prefix)
		took := time.Since(since)
		if err != nil {
			return took, err
		}
		if len(list) == 0 {
			return took, nil
		}
		if took > within {
			return took, fmt.Errorf("still open after %s: %v", promise.MS(took), list)
		}
		if err := promise.Pause(ctx, 20*time.Millisecond); err != nil {
			return took, err
		}
	}
}

func videoOff(ctx context.Context, r *rig) (string, error) {
	off := limit{500 * time.Millisecond, 2 * time.Second}
	const backWithin = 20 * time.Second
	began := time.Now()
	before, err := r.held(ctx, "/dev/video")
	if err != nil || len(before) == 0 {
		return "", errors.Join(errors.New("no camera is open while the video is on"), err)
	}
	yes, no := true, false
	at := time.Now()
	if _, err := r.kiosk.DisableVideo(ctx, &yes); err != nil {
		return "", err
	}
	took, err := r.closed(ctx, "/dev/video", at, off.allowed)
	figures := "no /dev/video* open " + off.of(took)
	if err != nil {
		return figures, err
	}
	slate, err := r.far.Await(ctx, farside.Slate, at, slateLimit().allowed)
	if err != nil {
		return figures, err
	}
	// Pictures that were on their way come before the slate, none may come after it.
	if err := promise.Pause(ctx, time.Second); err != nil {
		return figures, err
	}
	figures += fmt.Sprintf(", slate after %s", promise.MS(slate))
	if n := r.far.Between(farside.Live, at.Add(slate), time.Now()); n > 0 {
		return figures, fmt.Errorf("%d live pictures came after the slate", n)
	}
	at = time.Now()
	if _, err := r.kiosk.DisableVideo(ctx, &no); err != nil {
		return figures, err
	}
	back, err := r.far.Await(ctx, farside.Live, at, backWithin)
	if err != nil {
		return figures, err
	}
	after, err := r.held(ctx, "/dev/video")
	figures += fmt.Sprintf("; on again: live after %s, %s open", promise.MS(back), paths(after))
	if err == nil && len(after) == 0 {
		err = errors.New("a picture came, but no camera is open")
	}
	return figures, errors.Join(err, r.states.stayed(began))
}

func ended(ctx context.Context, r *rig) (string, error) {
	within := limit{500 * time.Millisecond, 3 * time.Second}
	before, err := r.held(ctx, "/dev/")
	if err != nil || len(before) < 2 {
		return "", errors.Join(fmt.Errorf("in the call only %v is open", before), err)
	}
	at := time.Now()
	if _, err := r.kiosk.EndCall(ctx); err != nil {
		return "", err
	}
	took, err := r.closed(ctx, "/dev/", at, within.allowed)
	figures := fmt.Sprintf("open in the call: %s; nothing %s", paths(before), within.of(took))
	if err != nil {
		return figures, err
	}
	return figures, r.states.await(ctx, apitype.StateEnded, within.allowed)
}

// cameThrough: after all that, it is the same process, and the kernel has no complaint.
func cameThrough(ctx context.Context, r *rig) (string, error) {
	p, err := r.unitProperties(ctx)
	if err != nil {
		return "", err
	}
	log, err := r.agent.Must(ctx, commandWithin, "dmesg")
	if err != nil {
		return "", err
	}
	memory, err1 := strconv.Atoi(p["MemoryCurrent"])
	cpu, err2 := strconv.Atoi(p["CPUUsageNSec"])
	figures := fmt.Sprintf("restarts %s, %d MiB in its cgroup, %.1f s of an emulated processor", p["NRestarts"], memory>>20, time.Duration(cpu).Seconds())
	if p["ActiveState"] != "active" || p["NRestarts"] != "0" {
		err = fmt.Errorf("kioskd.service is %q and was restarted %s times", p["ActiveState"], p["NRestarts"])
	}
	return figures, errors.Join(err, err1, err2, complaints(log))
}

// complaints finds the kernel's own in its log. A mere "Call Trace" is none: vivid of
// 6.1 sleeps for -1 jiffies when it is late, which prints one and does no harm.
func complaints(log string) error {
	for line := range strings.Lines(log) {
		for _, word := range []string{"BUG:", "WARNING: CPU", "Oops", "general protection fault", "blocked for more than"} {
			if strings.Contains(line, word) {
				return fmt.Errorf("the kernel complains: %s", strings.TrimSpace(line))
			}
		}
	}
	return nil
}
