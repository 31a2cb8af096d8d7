package peer_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/peer"
)

// childSocket makes this test binary a child that connects there, says one
// byte and waits to be ended.
const childSocket = "PEER_TEST_CHILD_SOCKET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(childSocket); socket != "" {
		os.Exit(child(socket))
	}
	goleak.VerifyTestMain(m)
}

func child(socket string) int {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return 1
	}
	_, _ = c.Read(make([]byte, 1)) // until the parent has seen us
	_ = c.Close()
	return 0
}

// deadline ends what should have happened long ago.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestRoleOfPeer(t *testing.T) {
	both := peer.Auth{ScreenGID: 100, TechnicianGID: 200, OwnUID: 7}
	noGroups := peer.Auth{ScreenGID: -1, TechnicianGID: -1, OwnUID: 7}
	techOnly := peer.Auth{ScreenGID: -1, TechnicianGID: 200, OwnUID: 7}
	for _, c := range []struct {
		name string
		auth peer.Auth
		peer peer.Peer
		want peer.Role
	}{
		{"root", both, peer.Peer{UID: 0}, peer.Root},
		{"root by gid only is nothing", both, peer.Peer{UID: 5, GID: 0}, peer.None},
		{"screen by primary group", both, peer.Peer{UID: 5, GID: 100}, peer.Screen},
		{"screen by supplementary group", both, peer.Peer{UID: 5, GID: 5, Groups: []uint32{1, 100}}, peer.Screen},
		{"technician in both", both, peer.Peer{UID: 5, GID: 100, Groups: []uint32{200}}, peer.Technician},
		{"technician by supplementary groups", both, peer.Peer{UID: 5, GID: 5, Groups: []uint32{100, 200}}, peer.Technician},
		{"neither", both, peer.Peer{UID: 5, GID: 5, Groups: []uint32{1, 2}}, peer.None},
		{"nobody", both, peer.Peer{UID: 65534, GID: 65534}, peer.None},
		{"own uid where there are groups", both, peer.Peer{UID: 7, GID: 7}, peer.None},
		{"own uid where there are none", noGroups, peer.Peer{UID: 7, GID: 7}, peer.Technician},
		{"another where there are none", noGroups, peer.Peer{UID: 5, GID: 5}, peer.None},
		{"gid like -1 where there are none", noGroups, peer.Peer{UID: 5, GID: 0xffffffff}, peer.None},
		{"root where there are none", noGroups, peer.Peer{UID: 0}, peer.Root},
		{"group kiosk-tech alone opens nothing", techOnly, peer.Peer{UID: 5, GID: 200}, peer.None},
	} {
		if got := c.auth.Role(c.peer); got != c.want {
			t.Errorf("%s: role is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestRolesIncludeEachOther(t *testing.T) {
	order := []peer.Role{peer.None, peer.Screen, peer.Technician, peer.Root}
	if !slices.IsSorted(order) {
		t.Errorf("roles are not in order: %v", order)
	}
	var words []string
	for _, r := range order {
		words = append(words, r.String())
	}
	if got := strings.Join(words, " "); got != "none screen technician root" {
		t.Errorf("the roles' words are %q", got)
	}
}

func TestNewAuthKnowsThisMachine(t *testing.T) {
	a, err := peer.NewAuth()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	has := strings.Contains("\n"+string(groups), "\nkiosk:")
	if has != (a.ScreenGID >= 0) || int(a.OwnUID) != os.Geteuid() {
		t.Errorf("got %+v; /etc/group has kiosk: %v; uid %d", a, has, os.Geteuid())
	}
}

// listen gives a Listener on a socket that every user reaches.
func listen(t *testing.T, auth peer.Auth, deny func(peer.Peer, string, string)) (*peer.Listener, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	inner, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	ln := peer.NewListener(inner, auth, deny)
	t.Cleanup(func() { _ = ln.Close() })
	return ln, socket
}

func ignore(peer.Peer, string, string) {}

var auth = peer.Auth{ScreenGID: apitest.ScreenGID, TechnicianGID: apitest.TechnicianGID, OwnUID: 7}

// accepted gives the peer that ConnContext finds for the next connection.
func accepted(t *testing.T, ln net.Listener) peer.Peer {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return peer.From(peer.ConnContext(t.Context(), c))
}

func TestRootPeerIsReadFromTheKernel(t *testing.T) {
	many := make([]uint32, 300) // more than the first buffer holds
	for i := range many {
		many[i] = uint32(70000 + i)
	}
	many[299] = apitest.TechnicianGID
	for _, c := range []struct {
		name string
		user apitest.User
		want peer.Role
	}{
		{"root", apitest.User{}, peer.Root},
		{"screen by primary group", apitest.User{UID: 61011, GID: apitest.ScreenGID}, peer.Screen},
		{"technician only by supplementary group", apitest.User{UID: 61012, GID: 61012, Groups: []uint32{apitest.ScreenGID, apitest.TechnicianGID}}, peer.Technician},
		{"technician by the last of 300 groups", apitest.User{UID: 61012, GID: 61012, Groups: many}, peer.Technician},
		{"stranger", apitest.User{UID: 65534, GID: 65534}, peer.None},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln, socket := listen(t, auth, ignore)
			conn, err := c.user.Dial(deadline(t), socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			got := accepted(t, ln)
			if got.UID != c.user.UID || got.GID != c.user.GID || int(got.PID) != os.Getpid() || got.Role != c.want {
				t.Errorf("peer is %v, role %v, want uid %d gid %d pid %d role %v", got, got.Role, c.user.UID, c.user.GID, os.Getpid(), c.want)
			}
			for _, g := range c.user.Groups {
				if !slices.Contains(got.Groups, g) {
					t.Errorf("group %d is not seen", g)
				}
			}
		})
	}
}

// A process of its own, started by the kernel's rules and not by a trick with
// threads, is seen the same way.
func TestRootChildOfAnotherUserIsSeen(t *testing.T) {
	ln, socket := listen(t, auth, ignore)
	cmd := exec.CommandContext(deadline(t), "/proc/self/exe")
	cmd.Env = append(os.Environ(), childSocket+"="+socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 61013, Gid: 61013, Groups: []uint32{apitest.ScreenGID}}}
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start a child as another user, this test needs root: %v", err)
	}
	got := accepted(t, ln) // closes the connection, which ends the child
	if got.UID != 61013 || got.Role != peer.Screen || int(got.PID) != cmd.Process.Pid {
		t.Errorf("peer is %v, role %v, want uid 61013, pid %d, role screen", got, got.Role, cmd.Process.Pid)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child ended with %v", err)
	}
}

func TestContextWithoutPeerHasNoRole(t *testing.T) {
	c, s := net.Pipe()
	defer c.Close()
	defer s.Close()
	if p := peer.From(peer.ConnContext(t.Context(), s)); p.Role != peer.None || p.UID == 0 {
		t.Errorf("peer is %v with role %v, want a nobody without a role", p, p.Role)
	}
}

// hold accepts until it is told to stop, and keeps what it accepted.
type hold struct{ conns chan net.Conn }

func newHold(ln net.Listener) hold {
	h := hold{make(chan net.Conn, peer.MaxConns+1)}
	go func() {
		defer close(h.conns)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			h.conns <- c
		}
	}()
	return h
}

// knock connects and tells whether it was let in: a connection that is turned
// away hears 503, one that is let in hears nothing and is in h.conns.
func knock(t *testing.T, h hold, u apitest.User, socket string) (mine, accepted net.Conn) {
	t.Helper()
	ctx := deadline(t)
	c, err := u.Dial(ctx, socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	turned := make(chan error, 1)
	go func() {
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Content-Type") != "application/problem+json" {
				err = fmt.Errorf("turned away with %s, %s", resp.Status, resp.Header.Get("Content-Type"))
			}
		}
		turned <- err
	}()
	select {
	case a := <-h.conns:
		return c, a
	case err := <-turned:
		if err != nil {
			t.Error(err)
		}
		return c, nil
	case <-ctx.Done():
		t.Fatal("neither let in nor turned away")
	}
	return nil, nil
}

func TestRootCapsOfConnections(t *testing.T) {
	var denied atomic.Int32
	ln, socket := listen(t, auth, func(peer.Peer, string, string) { denied.Add(1) })
	h := newHold(ln)
	in := map[uint32][]net.Conn{}
	fill := func(u apitest.User, want int, why string) {
		t.Helper()
		n := 0
		for {
			_, a := knock(t, h, u, socket)
			if a == nil {
				break
			}
			in[u.UID] = append(in[u.UID], a)
			n++
		}
		if n != want {
			t.Errorf("%s: %d connections were let in, want %d", why, n, want)
		}
	}
	user := func(i uint32) apitest.User { return apitest.User{UID: 61100 + i, GID: apitest.ScreenGID} }
	tech := apitest.User{UID: 61200, GID: apitest.ScreenGID, Groups: []uint32{apitest.TechnicianGID}}
	fill(apitest.User{UID: 65534, GID: 65534}, peer.MaxStrangers, "strangers")
	for i := range uint32(3) {
		fill(user(i), peer.MaxConnsUID, "one user")
	}
	fill(user(3), peer.MaxConns-peer.KeptForTechs-peer.MaxStrangers-3*peer.MaxConnsUID, "the last screen user")
	fill(user(4), 0, "another screen user when it is full")
	fill(tech, peer.KeptForTechs, "a technician when it is full")
	fill(apitest.User{}, 0, "root when all is full")
	if n := denied.Load(); n != 8 {
		t.Errorf("%d denials were told, want one for each fill", n)
	}
	for range 2 { // closing twice gives one place back, not two
		_ = in[61100][0].Close()
	}
	fill(user(4), 0, "a screen user in a technician's place")
	fill(tech, 1, "a technician after one went")
	for _, conns := range in {
		for _, c := range conns {
			_ = c.Close()
		}
	}
	clear(in)
	fill(user(0), peer.MaxConnsUID, "one user after all went")
	_ = ln.Close()
	for c := range h.conns {
		_ = c.Close()
	}
	for _, c := range in[61100] {
		_ = c.Close()
	}
}
