package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"kioskd/daemon/api/apitype"
)

// The daemon's user, and program, and the groups of the package.
const (
	daemonUser      = "kioskd"
	groupScreen     = "kiosk"
	groupTechnician = "kiosk-tech"
)

// groupFile is /etc/group: gids and members by the group's name.
type groupFile map[string]struct {
	gid     uint32
	members []string
}

// parseGroups reads group(5); lines that are none are left out.
func parseGroups(text string) groupFile {
	out := groupFile{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 {
			continue
		}
		gid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			continue
		}
		g := out[f[0]]
		g.gid = uint32(gid)
		g.members = slices.DeleteFunc(strings.Split(f[3], ","), func(m string) bool { return m == "" })
		out[f[0]] = g
	}
	return out
}

// groups looks at who may do what.
func (h *Host) groups() apitype.Check {
	const code = "groups"
	text, err := h.read("etc", "group")
	if err != nil {
		return skip(code, "groups_unknown", "/etc/group cannot be read.")
	}
	return judgeGroups(parseGroups(text), h.User)
}

// judgeGroups judges whether the groups are there and who asks is in them.
func judgeGroups(g groupFile, who string) apitype.Check {
	const code = "groups"
	for _, name := range []string{groupScreen, groupTechnician} {
		if _, ok := g[name]; !ok {
			return fail(code, "group_missing", "There is no group "+name+".",
				"Without it nobody but root and the daemon's own user may use the socket. The package makes it.", "groupadd --system "+name)
		}
	}
	if who == "" || who == "root" {
		return pass(code, "The groups kiosk and kiosk-tech are there.")
	}
	for _, name := range []string{groupScreen, groupTechnician} {
		if !slices.Contains(g[name].members, who) {
			return warn(code, "not_in_group", fmt.Sprintf("%s is not in the group %s.", who, name),
				"A technician is in both. It counts from the next login on.", "usermod -aG kiosk,kiosk-tech "+quote(who))
		}
	}
	return pass(code, who+" is in the groups kiosk and kiosk-tech.")
}

// nodes looks at the devices' nodes: may kioskd's user open them?
func (h *Host) nodes(folder string) apitype.Check {
	const code = "permissions"
	text, err := h.read("etc", "group")
	if err != nil {
		return skip(code, "groups_unknown", "/etc/group cannot be read.")
	}
	g := parseGroups(text)
	cameras, err := filepath.Glob(filepath.Join(folder, "video[0-9]*"))
	if err != nil || folder == "" {
		cameras = nil // no folder's name has a pattern in it
	}
	sound, _ := filepath.Glob(h.path("dev", "snd", "pcm*")) // the pattern is ours
	if len(cameras)+len(sound) == 0 {
		return skip(code, "no_nodes", "There is no device node to look at.")
	}
	for _, list := range []struct {
		paths []string
		group string
	}{{cameras, "video"}, {sound, "audio"}} {
		for _, path := range list.paths {
			info, err := os.Stat(path)
			if err != nil {
				continue // it was unplugged just now
			}
			if c, bad := judgeNode(path, info, g, list.group); bad {
				return c
			}
		}
	}
	return pass(code, "kioskd may open the cameras and the sound cards.")
}

// judgeNode judges one node by its mode: kioskd gets there by the group that the unit
// gives it, video or audio.
func judgeNode(path string, info fs.FileInfo, g groupFile, group string) (apitype.Check, bool) {
	const code, both = "permissions", 0o6
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	if !ok || mode&both == both {
		return apitype.Check{}, false
	}
	want, exists := g[group]
	if exists && st.Gid == want.gid && mode>>3&both == both {
		return apitype.Check{}, false
	}
	return fail(code, "node_forbidden", fmt.Sprintf("kioskd may not open %s: mode %04o, group %s.", path, mode, g.name(st.Gid)),
		"It gets there by the group "+group+". udev sets that at each plug: if it comes back, a rule in /etc/udev/rules.d says otherwise.",
		"chgrp "+group+" "+quote(path)+" && chmod 660 "+quote(path)), true
}

// name is a gid's name, or the number.
func (g groupFile) name(gid uint32) string {
	for name, v := range g {
		if v.gid == gid {
			return name
		}
	}
	return strconv.FormatUint(uint64(gid), 10)
}
