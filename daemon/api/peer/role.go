// Package peer says who is at the other end of the control socket and whether
// there is room for them. It owns the roles, the reading of peer credentials at
// accept and the caps of connections.
//
// Who may import it: daemon/api, and daemon, which makes the Auth. Imports:
// standard library, golang.org/x/sys/unix and apitype for its one answer.
package peer

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
)

// Role is what a peer may do. Each includes the one before.
type Role int

// The roles, from least to most.
const (
	None       Role = iota // nothing at all
	Screen                 // the touchscreen: group kiosk
	Technician             // group kiosk-tech
	Root                   // uid 0
)

// String gives the contract's word for the role.
func (r Role) String() string {
	switch r {
	case Screen:
		return "screen"
	case Technician:
		return "technician"
	case Root:
		return "root"
	default:
		return "none"
	}
}

// The groups that give roles.
const (
	GroupScreen     = "kiosk"
	GroupTechnician = "kiosk-tech"
)

// Peer is who is at the other end of a connection, read once at accept.
type Peer struct {
	UID, GID uint32
	PID      int32
	Groups   []uint32 // supplementary groups
	Role     Role
}

// String is the form for the audit: no names, numbers only.
func (p Peer) String() string { return fmt.Sprintf("uid=%d gid=%d pid=%d", p.UID, p.GID, p.PID) }

// Auth says which role a peer has. A gid of -1 means that there is no such group.
type Auth struct {
	ScreenGID     int64
	TechnicianGID int64
	OwnUID        uint32 // the daemon's; a technician where there is no group kiosk
}

// NewAuth looks the two groups up. A group that does not exist is no error; one
// that cannot be looked up is.
func NewAuth() (Auth, error) {
	screen, err := lookupGroup(GroupScreen)
	if err != nil {
		return Auth{}, err
	}
	technician, err := lookupGroup(GroupTechnician)
	if err != nil {
		return Auth{}, err
	}
	return Auth{ScreenGID: screen, TechnicianGID: technician, OwnUID: uint32(os.Geteuid())}, nil
}

func lookupGroup(name string) (int64, error) {
	g, err := user.LookupGroup(name)
	if unknown := user.UnknownGroupError(""); errors.As(err, &unknown) {
		return -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("cannot look up group %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(g.Gid, 10, 32)
	if err != nil {
		return -1, fmt.Errorf("cannot use group %s: its gid %q is no number", name, g.Gid)
	}
	return int64(gid), nil
}

// Role gives the role of a peer by its uid, its gid and its supplementary
// groups. Where there is no group kiosk only root and the daemon's own user
// are let in.
func (a Auth) Role(p Peer) Role {
	switch {
	case p.UID == 0:
		return Root
	case a.ScreenGID < 0:
		if p.UID == a.OwnUID {
			return Technician
		}
	case p.in(a.TechnicianGID):
		return Technician
	case p.in(a.ScreenGID):
		return Screen
	}
	return None
}

func (p Peer) in(gid int64) bool {
	return gid >= 0 && (int64(p.GID) == gid || slices.Contains(p.Groups, uint32(gid)))
}
