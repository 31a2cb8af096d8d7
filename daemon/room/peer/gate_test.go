package peer

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/transport/v5"
)

func at(port uint16) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port))
}

// packet is one that begins with the byte.
func packet(first byte) []byte { return []byte{first, 0, 0, 0} }

func TestKindsOfPackets(t *testing.T) {
	for first, want := range map[byte]int{
		0: kindSTUN, 3: kindSTUN, 4: kindOther, 19: kindOther, 20: kindDTLS, 63: kindDTLS, 64: kindMedia, 79: kindMedia, 80: kindOther,
		127: kindOther, 128: kindMedia, 191: kindMedia, 192: kindOther, 255: kindOther,
	} {
		if got := kindOf(packet(first)); got != want {
			t.Errorf("%d is of kind %d, want %d", first, got, want)
		}
	}
	if kindOf(nil) != kindOther {
		t.Error("an empty packet")
	}
}

// TestGateBoundsEachKind: twice a second's worth at once, a second's worth a second, and
// one kind takes nothing from another.
func TestGateBoundsEachKind(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, first := range []byte{1, 22, 128, 255} {
		g, kind := &gate{}, kindOf(packet(first))
		flood := func(now time.Time) (passed int) {
			for range 20_000 {
				if g.admits(packet(first), at(9), now) {
					passed++
				}
			}
			return passed
		}
		if n, most := flood(now), int(2*perSecond(kind)); n != most {
			t.Errorf("%d: %d of a burst pass, want %d", first, n, most)
		}
		if n, most := flood(now.Add(time.Second)), int(perSecond(kind)); n != most {
			t.Errorf("%d: %d pass a second later, want %d", first, n, most)
		}
		other := byte(128)
		if first == other {
			other = 1
		}
		if !g.admits(packet(other), at(9), now.Add(time.Second)) {
			t.Errorf("%d used up what %d may have", first, other)
		}
	}
}

// TestStrangersTakeNothing: whoever we send to is heard through a flood of strangers, and
// of another that we know.
func TestStrangersTakeNothing(t *testing.T) {
	now, g := time.Unix(1_700_000_000, 0), &gate{}
	g.know(addrOf(at(1)))
	g.know(addrOf(at(2)))
	for port := range uint16(5000) {
		g.admits(packet(1), at(1000+port), now)
		g.admits(packet(1), at(2), now)
	}
	if g.admits(packet(1), at(7000), now) {
		t.Error("a stranger is heard after the strangers' flood")
	}
	if g.admits(packet(1), at(2), now) {
		t.Error("one of those that we know may flood")
	}
	if !g.admits(packet(1), at(1), now) {
		t.Error("whom we talk to is not heard")
	}
	for port := range uint16(1000) {
		g.know(addrOf(at(port)))
	}
	if len(g.known) > knownMost {
		t.Errorf("%d senders have an allowance", len(g.known))
	}
}

// TestGateOnASocket: what is one too many is not read, what is not is, on a real socket.
func TestGateOnASocket(t *testing.T) {
	f, err := newFresh()
	if err != nil {
		t.Fatal(err)
	}
	var in transport.UDPConn
	if in, err = f.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := net.DialUDP("udp4", nil, in.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	const rounds, other = 40, 200 // a first byte of no kind that a call has
	round := func() {
		for range 20 {
			_, _ = out.Write(packet(other))
		}
		_, _ = out.Write(packet(128))
	}
	if err := in.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	media, rest := 0, 0
	b := make([]byte, 64)
	for round(); media < rounds; {
		n, _, err := in.ReadFrom(b)
		if err != nil {
			t.Fatalf("%d of %d packets of media were read, then: %v", media, rounds, err)
		}
		if kindOf(b[:n]) == kindMedia {
			media++
			round()
		} else {
			rest++
		}
	}
	if most := int(12 * perSecond(kindOther)); rest > most { // a burst, and the ten seconds that it takes at most
		t.Errorf("%d of %d others were read", rest, 20*rounds)
	}
}
