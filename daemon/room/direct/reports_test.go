package direct

import (
	"testing"
	"time"
)

func TestRoundTrip(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 250_000_000, time.UTC)
	mid := ntpMiddle(now)
	if got := mid & 0xffff; got != 0x4000 { // a quarter of a second
		t.Errorf("the fraction is %#x", got)
	}
	// RFC 3550's own example, section 6.4.1: 0xb710:8000 - 0xb705:2000 - 0x0005:4000 = 6.125 s.
	example := time.Unix(0xb44db710-2208988800, 500_000_000)
	if got := roundTrip(example, 0xb7052000, 0x00054000); got != 6125*time.Millisecond {
		t.Errorf("the example gives %v", got)
	}
	const second = 65536
	for _, c := range []struct {
		name       string
		lsr, delay uint32
		want       time.Duration
	}{
		{"no sender report yet", 0, 5, 0},
		{"half a second away, half of it held", mid - second/2, second / 4, 250 * time.Millisecond},
		{"a report from the future", mid + second, 0, 0},
		{"a delay that is a lie", mid - second, 2 * second, 0},
		{"longer than a call can bear", mid - 40*second, 0, 0},
	} {
		if got := roundTrip(now, c.lsr, c.delay); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
