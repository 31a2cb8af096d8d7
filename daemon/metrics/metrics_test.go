package metrics_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kioskd/daemon/metrics"
)

func TestWrite(t *testing.T) {
	var d metrics.Duration
	d.Observe(2 * time.Millisecond)
	d.Observe(time.Minute)
	got, err := metrics.Write([]metrics.Family{
		{Name: "b_total", Type: metrics.Counter, Help: "B\\ and\nmore.", Samples: []metrics.Sample{
			{Labels: []string{"kind", "a\"b\\c\nd"}, Value: 3}, {Labels: []string{"kind", "x", "other", ""}, Value: 1e21},
		}},
		metrics.One("a_bytes", metrics.Gauge, "A.", 0.5),
		{Name: "none", Type: metrics.Gauge, Help: "Nothing."},
		{Name: "c_seconds", Type: metrics.Histogram, Help: "C.", Samples: d.Samples("method", "GET")},
		metrics.One("d", metrics.Gauge, "D.", math.Inf(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `# HELP a_bytes A.
# TYPE a_bytes gauge
a_bytes 0.5
# HELP b_total B\\ and\nmore.
# TYPE b_total counter
b_total{kind="a\"b\\c\nd"} 3
b_total{kind="x",other=""} 1e+21
# HELP c_seconds C.
# TYPE c_seconds histogram
c_seconds_bucket{method="GET",le="0.0005"} 0
c_seconds_bucket{method="GET",le="0.001"} 0
c_seconds_bucket{method="GET",le="0.0025"} 1
c_seconds_bucket{method="GET",le="0.005"} 1
c_seconds_bucket{method="GET",le="0.01"} 1
c_seconds_bucket{method="GET",le="0.025"} 1
c_seconds_bucket{method="GET",le="0.05"} 1
c_seconds_bucket{method="GET",le="0.1"} 1
c_seconds_bucket{method="GET",le="0.25"} 1
c_seconds_bucket{method="GET",le="0.5"} 1
c_seconds_bucket{method="GET",le="1"} 1
c_seconds_bucket{method="GET",le="2.5"} 1
c_seconds_bucket{method="GET",le="10"} 1
c_seconds_bucket{method="GET",le="+Inf"} 2
c_seconds_sum{method="GET"} 60.002
c_seconds_count{method="GET"} 2
# HELP d D.
# TYPE d gauge
d +Inf
`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestWriteRefuses(t *testing.T) {
	good := metrics.One("a", metrics.Gauge, "A.", 1)
	for name, list := range map[string][]metrics.Family{
		"a name":       {metrics.One("a b", metrics.Gauge, "A.", 1)},
		"no name":      {metrics.One("", metrics.Gauge, "A.", 1)},
		"no help":      {metrics.One("a", metrics.Gauge, "", 1)},
		"a type":       {metrics.One("a", "number", "A.", 1)},
		"twice":        {good, metrics.One("b", metrics.Gauge, "B.", 1), good},
		"half a label": {metrics.One("a", metrics.Gauge, "A.", 1, "kind")},
		"a label":      {metrics.One("a", metrics.Gauge, "A.", 1, "k-d", "x")},
		"sample twice": {{Name: "a", Type: metrics.Gauge, Help: "A.", Samples: []metrics.Sample{{Labels: []string{"x", "1"}}, {Labels: []string{"x", "1"}}}}},
	} {
		if got, err := metrics.Write(list); err == nil || !strings.HasPrefix(err.Error(), "cannot write") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The process's own figures are there and plausible.
func TestProcess(t *testing.T) {
	seen := map[string]float64{}
	for _, f := range metrics.Process(time.Now()) {
		seen[f.Name] = f.Samples[0].Value
	}
	for name, least := range map[string]float64{
		"process_cpu_seconds_total": 0, "process_resident_memory_bytes": 1 << 20, "process_open_fds": 3, "process_max_fds": 10,
		"process_start_time_seconds": 1.7e9, "go_goroutines": 1,
	} {
		if got, ok := seen[name]; !ok || got < least {
			t.Errorf("%s is %v, there: %v", name, got, ok)
		}
	}
}

var sampleLine = regexp.MustCompile(`^a\{kind="((?:[^"\\]|\\.)*)"\} (\S+)$`)

// FuzzWrite: whatever a label holds, there are three lines, and the value comes back.
func FuzzWrite(f *testing.F) {
	f.Add("x", 1.5)
	f.Add("a\"b\\c\nd\r", math.Inf(-1))
	f.Add("\xff\x00", math.MaxFloat64)
	f.Fuzz(func(t *testing.T, label string, value float64) {
		got, err := metrics.Write([]metrics.Family{metrics.One("a", metrics.Gauge, "A.", value, "kind", label)})
		if err != nil || !utf8.Valid(got) {
			t.Fatalf("%q, %v", got, err)
		}
		lines := strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("%q has %d lines", got, len(lines))
		}
		m := sampleLine.FindStringSubmatch(lines[2])
		if m == nil {
			t.Fatalf("%q is no sample", lines[2])
		}
		back := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(m[1])
		if want := strings.ToValidUTF8(label, "\ufffd"); back != want {
			t.Errorf("the label %q comes back as %q", want, back)
		}
		if v, err := strconv.ParseFloat(m[2], 64); err != nil || v != value && !math.IsNaN(value) {
			t.Errorf("%v comes back as %v, %v", value, v, err)
		}
	})
}
