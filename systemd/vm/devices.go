package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
)

// pluggedLater: the machine came up without a driver of cameras or sound. What is
// plugged then must not be refused, for the unit's policy is made at its start.
func pluggedLater(ctx context.Context, r *rig) (string, error) {
	loaded, err := r.agent.Must(ctx, commandWithin, "cat", "/proc/modules")
	if err != nil {
		return "", err
	}
	if strings.Contains(loaded, "vivid ") || strings.Contains(loaded, "snd_aloop ") {
		return "", errors.New("a driver was loaded before kioskd: this shows nothing")
	}
	known, err := r.agent.Must(ctx, commandWithin, "cat", "/proc/devices")
	if err != nil {
		return "", err
	}
	at := time.Now()
	if _, err := r.agent.Must(ctx, commandWithin, "modprobe", "-a", "vivid", "snd-aloop"); err != nil {
		return "", err
	}
	took, err := r.usable(ctx, at)
	figures := fmt.Sprintf("ready without a driver; two cameras and the sound card usable %s after theirs", promise.MS(took))
	for _, group := range []string{" video4linux\n", " alsa\n"} {
		if !strings.Contains(known, group) {
			err = errors.Join(err, fmt.Errorf("/proc/devices had no%s before a driver was there", strings.TrimRight(group, "\n")))
		}
	}
	return figures, err
}

// usable waits until cameras and sound are there and nothing is wrong with them.
func (r *rig) usable(ctx context.Context, since time.Time) (time.Duration, error) {
	const within = 30 * time.Second
	for {
		list, err := r.kiosk.Devices(ctx)
		if err != nil {
			return 0, err
		}
		counts, wrong := map[string]int{}, []string{}
		for _, d := range list {
			if d.Present && d.State == apitype.DeviceOK {
				counts[d.Kind]++
			} else {
				wrong = append(wrong, fmt.Sprintf("%s is %s (%s)", d.ID, d.State, d.Message))
			}
		}
		took := time.Since(since)
		if counts[apitype.KindCamera] == 2 && counts[apitype.KindMicrophone] > 0 {
			return took, nil
		}
		if took > within {
			return took, fmt.Errorf("usable are %v; %s", counts, strings.Join(wrong, ", "))
		}
		if err := promise.Pause(ctx, 100*time.Millisecond); err != nil {
			return took, err
		}
	}
}

// deviceAccess opens devices as root from within the unit's control group: what is
// refused there is refused by the unit's device policy alone.
func deviceAccess(ctx context.Context, r *rig) (string, error) {
	text, err := r.agent.Must(ctx, commandWithin, "systemctl", "show", "kioskd.service", "-p", "ControlGroup")
	if err != nil {
		return "", err
	}
	inside := "-cgroup=/sys/fs/cgroup" + promise.Fields(text)["ControlGroup"]
	nodes, err := r.agent.Must(ctx, commandWithin, "sh", "-c", "ls /dev/video* /dev/snd/control* /dev/snd/pcm*")
	if err != nil {
		return "", err
	}
	others, err := r.agent.Must(ctx, commandWithin, "sh", "-c", "ls -d /dev/vda /dev/mem /dev/kmsg /dev/ttyS0 /dev/input/event* /dev/fuse /dev/loop-control /dev/tty1 2>/dev/null || true")
	if err != nil {
		return "", err
	}
	opened, err := r.opened(ctx, strings.Fields(nodes), inside, "-write")
	if err != nil {
		return "", err
	}
	refused, err := r.opened(ctx, strings.Fields(others), inside)
	if err != nil {
		return "", err
	}
	free, err := r.opened(ctx, strings.Fields(others))
	figures := fmt.Sprintf("root in its control group: opens %s; refused with EPERM %s", strings.Join(opened["ok"], " "), strings.Join(refused["EPERM"], " "))
	return figures, errors.Join(err, judgeAccess(opened, refused, free))
}

// judgeAccess wants all cameras and sound devices opened, all else refused, and that
// nothing but the policy refuses it.
func judgeAccess(opened, refused, free map[string][]string) error {
	var errs []error
	for _, must := range []string{"/dev/video0", "/dev/video1", "/dev/snd/controlC0", "/dev/snd/pcmC0D1c"} {
		if !slices.Contains(opened["ok"], must) {
			errs = append(errs, fmt.Errorf("%s was not opened", must))
		}
	}
	for _, must := range []string{"/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/ttyS0"} {
		if !slices.Contains(refused["EPERM"], must) || !slices.Contains(free["ok"], must) {
			errs = append(errs, fmt.Errorf("%s was not refused, or it is outside too", must))
		}
	}
	if len(opened) != 1 || len(refused) != 1 || len(free["EPERM"]) > 0 {
		errs = append(errs, fmt.Errorf("cameras and sound: %v; others: %v, without the policy %v", opened, refused, free))
	}
	return errors.Join(errs...)
}

// opened has the machine open devices and sorts them by what the kernel said.
func (r *rig) opened(ctx context.Context, paths []string, flags ...string) (map[string][]string, error) {
	text, err := r.agent.Must(ctx, commandWithin, append(append([]string{"/usr/local/bin/guest", "open"}, flags...), paths...)...)
	by := map[string][]string{}
	for line := range strings.Lines(text) {
		path, said, _ := strings.Cut(strings.TrimSpace(line), " ")
		by[said] = append(by[said], path)
	}
	return by, err
}

// freshRules has the package installed for the first time on a kiosk that runs: what
// the desktop's user may do with plugged cameras goes, and their names by place come.
func freshRules(ctx context.Context, r *rig) (string, error) {
	const within = 2 * time.Minute
	const before = `set -e; rm -rf /dev/kiosk
echo 'a+ /dev/video0 - - - - u:nobody:rw' | systemd-tmpfiles --create -
ls -l /dev/video0`
	text, err := r.agent.Must(ctx, commandWithin, "sh", "-c", before)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(text, "crw-rw----+") {
		return "", fmt.Errorf("an ACL was to be there: %s", text)
	}
	began := time.Now()
	if _, err := r.agent.Must(ctx, within, "env", "DPKG_MAINTSCRIPT_PACKAGE=kioskd", "/var/lib/dpkg/info/kioskd.postinst", "configure"); err != nil {
		return "", err
	}
	took := time.Since(began)
	text, err = r.agent.Must(ctx, commandWithin, "ls", "-l", "/dev/video0")
	if err == nil && !strings.HasPrefix(text, "crw-rw---- 1 root video ") {
		err = fmt.Errorf("the camera is still somebody else's: %s", text)
	}
	names, namesErr := r.agent.Must(ctx, commandWithin, "ls", "/dev/kiosk")
	return fmt.Sprintf("postinst took %.1f s; the ACL is gone, /dev/kiosk has %s", took.Seconds(), strings.Join(strings.Fields(names), " ")), errors.Join(err, namesErr)
}
