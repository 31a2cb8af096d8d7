// Package metrics writes figures in the text format that Prometheus reads, version
// 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/), and names them
// by its conventions: base units, _total for counters. It owns the form, and the
// figures of the process; the others come from whoever has them.
//
// A library for this would bring eight modules into the daemon; what it takes to print
// families that were counted elsewhere is this file.
//
// Who may import it: daemon. Imports: standard library and x/sys.
package metrics

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Types of a Family.
const (
	Counter   = "counter"
	Gauge     = "gauge"
	Histogram = "histogram"
)

// Family is one metric with all its samples.
type Family struct {
	Name, Help, Type string
	Samples          []Sample
}

// Sample is one line: labels as pairs of name and value, and the value.
type Sample struct {
	// Suffix is "_bucket", "_sum" or "_count" of a histogram.
	Suffix string
	Labels []string
	Value  float64
}

// One is a family of a single sample.
func One(name, kind, help string, value float64, labels ...string) Family {
	return Family{Name: name, Help: help, Type: kind, Samples: []Sample{{Labels: labels, Value: value}}}
}

var (
	metricName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)

// Write makes the text of families, by name. It refuses what a reader would choke on:
// names that are none, a family or a sample that is there twice, a help that is empty.
func Write(families []Family) ([]byte, error) {
	sorted := slices.Clone(families)
	slices.SortFunc(sorted, func(a, b Family) int { return strings.Compare(a.Name, b.Name) })
	var out bytes.Buffer
	for i, f := range sorted {
		if !metricName.MatchString(f.Name) || f.Help == "" || !slices.Contains([]string{Counter, Gauge, Histogram}, f.Type) {
			return nil, fmt.Errorf("cannot write the metric %q: its name, help or type is none", f.Name)
		}
		if i > 0 && sorted[i-1].Name == f.Name {
			return nil, fmt.Errorf("cannot write the metric %s: it is there twice", f.Name)
		}
		if len(f.Samples) == 0 {
			continue
		}
		fmt.Fprintf(&out, "# HELP %s %s\n# TYPE %s %s\n", f.Name, helpText(f.Help), f.Name, f.Type)
		seen := map[string]bool{}
		for _, s := range f.Samples {
			line, err := s.line(f.Name)
			if err != nil {
				return nil, err
			}
			if seen[line] {
				return nil, fmt.Errorf("cannot write the metric %s: a sample is there twice", line)
			}
			seen[line] = true
			fmt.Fprintf(&out, "%s %s\n", line, number(s.Value))
		}
	}
	return out.Bytes(), nil
}

// line is a sample without its value.
func (s Sample) line(name string) (string, error) {
	if len(s.Labels)%2 != 0 {
		return "", fmt.Errorf("cannot write the metric %s: a label has no value", name)
	}
	var pairs []string
	for i := 0; i < len(s.Labels); i += 2 {
		if !labelName.MatchString(s.Labels[i]) {
			return "", fmt.Errorf("cannot write the metric %s: %q is no label", name, s.Labels[i])
		}
		pairs = append(pairs, s.Labels[i]+`="`+labelText(s.Labels[i+1])+`"`)
	}
	if len(pairs) == 0 {
		return name + s.Suffix, nil
	}
	return name + s.Suffix + "{" + strings.Join(pairs, ",") + "}", nil
}

// labelText escapes a label's value: backslash, quote and line feed. What is no UTF-8
// becomes a replacement character.
func labelText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(strings.ToValidUTF8(text, "\ufffd"))
}

// helpText escapes a help: backslash and line feed.
func helpText(text string) string {
	return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(strings.ToValidUTF8(text, "\ufffd"))
}

// number writes a value as Go's ParseFloat reads it, which is what the format asks for.
func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case math.IsNaN(v):
		return "NaN"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
