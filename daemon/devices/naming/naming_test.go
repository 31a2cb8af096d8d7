package naming_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/daemon/devices/naming"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// look names devices, written as "base@port", and keeps the memory as a restart would.
func look(t *testing.T, m *naming.Memory, devices ...string) string {
	t.Helper()
	var list []naming.Device
	for _, d := range devices {
		base, port, _ := strings.Cut(d, "@")
		list = append(list, naming.Device{Base: base, Port: port})
	}
	ids, next, _ := m.Name(list)
	b, err := next.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if *m, err = naming.Decode(b); err != nil {
		t.Fatal(err)
	}
	return strings.Join(ids, " ")
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name  string
		looks [][2]string // devices, names
	}{
		{"one keeps its name on every port", [][2]string{{"c@1", "c"}, {"c@2", "c"}, {"", ""}, {"c@1", "c"}}},
		{"two of different series", [][2]string{{"c@1 d@2", "c d"}, {"d@1 c@2", "d c"}}},
		{"twins", [][2]string{{"c@1 c@2", "c-at-1 c-at-2"}, {"c@2", "c-at-2"}, {"c@3", "c-at-3"}, {"c@1", "c-at-1"}}},
		{"a twin shows up later", [][2]string{{"c@1", "c"}, {"c@2 c@1", "c-at-2 c-at-1"}, {"c@1", "c-at-1"}}},
		{"one device with two nodes", [][2]string{{"c@1 c@1", "c c-2"}, {"c@2 c@2", "c c-2"}}},
		{"twins with two nodes each", [][2]string{{"c@1 c@1 c@2 c@2", "c-at-1 c-at-1-2 c-at-2 c-at-2-2"}}},
		{"no port is known", [][2]string{{"c@", "c"}, {"c@ c@1", "c-at-unknown c-at-1"}}},
		{"one that calls itself as another", [][2]string{{"c@1 c@2 c-at-1@3", "c-at-1 c-at-2 c-at-1-2"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m naming.Memory
			for i, l := range c.looks {
				if got := look(t, &m, strings.Fields(l[0])...); got != l[1] {
					t.Errorf("look %d at %q: %q, want %q", i, l[0], got, l[1])
				}
			}
		})
	}
}

// A name that was given before the twin showed up means the one it was given to.
func TestNameFromBeforeTheTwin(t *testing.T) {
	var m naming.Memory
	look(t, &m, "c@1")
	look(t, &m, "c@2") // it was moved
	if got := m.Resolve("c"); got != "c" {
		t.Errorf("before: %q", got)
	}
	look(t, &m, "c@1", "c@2")
	look(t, &m, "c@1")
	if got := m.Resolve("c"); got != "c-at-2" || m.Former("c-at-2") != "c" || m.Former("c-at-1") != "" {
		t.Errorf("it leads to %q, which was %q", got, m.Former("c-at-2"))
	}
	for _, id := range []string{"c-at-1", "c-at-2", "d", ""} {
		if got := m.Resolve(id); got != id {
			t.Errorf("%q leads to %q", id, got)
		}
	}
	var never naming.Memory
	look(t, &never, "c@1", "c@2") // together from the first look: the plain name was nobody's
	if got := never.Resolve("c"); got != "c" || never.Former("c-at-1") != "" {
		t.Errorf("a name that was never given leads to %q", got)
	}
}

// thing is a device in somebody's hand.
type thing struct{ base, port string }

// TestRandomPlugs plays random plugs, pulls, moves and restarts against what the
// names promise, with a model of its own of who was seen when.
func TestRandomPlugs(t *testing.T) {
	const rounds, steps = 200, 60
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 7))
	id := regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	twinsSeen := 0
	for range rounds {
		var m naming.Memory
		var things []thing
		for i := range 2 + rnd.IntN(6) {
			base := fmt.Sprint("usb-046d-0825-", i)
			if rnd.IntN(2) == 0 {
				base = fmt.Sprint("usb-046d-0825-", i/2) // perhaps another's twin
			}
			if rnd.IntN(10) == 0 {
				base = strings.Repeat("x", 128)
			}
			things = append(things, thing{base: base})
		}
		alone := map[string]string{} // base -> port of its last look alone, before twins
		twins := map[string]bool{}
		for range steps {
			shuffle(rnd, things)
			list := plugged(rnd, things)
			ids, next, changed := m.Name(list)
			again, _, news := next.Name(list)
			if !slices.Equal(ids, again) || news {
				t.Fatalf("the same look gives %v, then %v, news %v", ids, again, news)
			}
			if !changed && !slices.Equal(ids, first(m.Name(list))) {
				t.Fatal("a look without news names otherwise")
			}
			m = restart(t, rnd, next)
			at := map[string][]string{}
			for _, d := range list {
				at[d.Base] = append(at[d.Base], d.Port)
			}
			for base, ports := range at {
				if len(ports) > 1 {
					twins[base] = true
					twinsSeen++
				} else if !twins[base] {
					alone[base] = ports[0]
				}
			}
			got := map[string]bool{}
			for i, d := range list {
				if !id.MatchString(ids[i]) || got[ids[i]] {
					t.Fatalf("%q is no good name among %v", ids[i], ids)
				}
				got[ids[i]] = true
				if len(d.Base) == 128 {
					continue // cut, with a hash
				}
				want := d.Base
				if twins[d.Base] {
					want += "-at-" + d.Port
				}
				if ids[i] != want {
					t.Fatalf("%v is named %q, want %q", d, ids[i], want)
				}
			}
			for base := range twins {
				want := base
				if port, ok := alone[base]; ok && len(base) < 128 {
					want += "-at-" + port
				}
				if got := m.Resolve(base); len(base) < 128 && got != want {
					t.Fatalf("%q leads to %q, want %q", base, got, want)
				}
			}
			reversed := slices.Clone(list)
			slices.Reverse(reversed)
			back := first(m.Name(reversed))
			slices.Reverse(back)
			if !slices.Equal(back, ids) {
				t.Fatalf("in another order the names are %v, not %v", back, ids)
			}
		}
	}
	if twinsSeen == 0 {
		t.Error("no twins came up")
	}
}

func first(ids []string, _ naming.Memory, _ bool) []string { return ids }

// shuffle moves things about: each port has one thing at most.
func shuffle(rnd *rand.Rand, things []thing) {
	taken := map[string]bool{}
	for _, x := range things {
		taken[x.port] = true
	}
	for range 1 + rnd.IntN(3) {
		x := &things[rnd.IntN(len(things))]
		if rnd.IntN(3) == 0 {
			delete(taken, x.port)
			x.port = ""
			continue
		}
		if port := fmt.Sprintf("usb-1-%d", rnd.IntN(9)); !taken[port] {
			delete(taken, x.port)
			x.port, taken[port] = port, true
		}
	}
}

// plugged lists what is plugged in, in any order.
func plugged(rnd *rand.Rand, things []thing) []naming.Device {
	var list []naming.Device
	for _, x := range things {
		if x.port != "" {
			list = append(list, naming.Device{Base: x.base, Port: x.port})
		}
	}
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func restart(t *testing.T, rnd *rand.Rand, m naming.Memory) naming.Memory {
	t.Helper()
	if rnd.IntN(4) > 0 {
		return m
	}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if m, err = naming.Decode(b); err != nil {
		t.Fatal(err)
	}
	return m
}

// Whoever plugs ever new devices in does not make the memory grow, and does not push
// twins out of it.
func TestMemoryIsBounded(t *testing.T) {
	var m naming.Memory
	look(t, &m, "twin@1")
	look(t, &m, "twin@1", "twin@2")
	for i := range 10 * naming.MaxEntries {
		look(t, &m, fmt.Sprint(strings.Repeat("n", 100), i, "@1"))
	}
	b, err := m.Encode()
	if err != nil || len(b) > 60<<10 {
		t.Errorf("the memory has %d bytes, %v", len(b), err)
	}
	if got := look(t, &m, "twin@2"); got != "twin-at-2" || m.Resolve("twin") != "twin-at-1" {
		t.Errorf("the twin is %q, its former name leads to %q", got, m.Resolve("twin"))
	}
	many := map[string]string{}
	for i := range 2 * naming.MaxEntries { // more at a time than are remembered
		many[fmt.Sprint("d", i, "@", i)] = fmt.Sprint("d", i)
	}
	keys := slices.Sorted(maps.Keys(many))
	for i, id := range strings.Fields(look(t, &m, keys...)) {
		if id != many[keys[i]] {
			t.Errorf("%s is %q", keys[i], id)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	if m, err := naming.Decode(nil); err != nil || m.Resolve("a") != "a" {
		t.Errorf("nothing: %v", err)
	}
	for _, bad := range []string{"x", "{}", `{"version":2}`, `{"version":1,"entries":3}`, `{"version":1,"entries":{` + many(4*naming.MaxEntries+1) + `}}`} {
		if _, err := naming.Decode([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "cannot read the devices' names") {
			t.Errorf("%.40s: %v", bad, err)
		}
	}
}

func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`"d%d":{"look":1}`, i))
	}
	return strings.Join(list, ",")
}

// FuzzDecode: whatever stands in the store, names come out.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", `{"version":1,"looks":3,"entries":{"c":{"port":"1","alone":true,"twins":true,"look":2}}}`, `{"version":1,"entries":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := naming.Decode(b)
		if err != nil {
			return
		}
		ids, next, _ := m.Name([]naming.Device{{Base: "c", Port: "1"}, {Base: "c", Port: "2"}, {Base: "d"}})
		if len(ids) != 3 || ids[0] == ids[1] || ids[1] == ids[2] {
			t.Errorf("the names are %q", ids)
		}
		if _, err := next.Encode(); err != nil {
			t.Error(err)
		}
	})
}
