package main

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestBarGolden(t *testing.T) {
	var v levels
	var lines []string
	for i, l := range levelsOf(append([]float64{0.001, 0.01, 0.1, 0.5, 1, 0.01}, repeat(0.02, 20)...)...) {
		v.add(l)
		if i < 8 || i > 24 {
			lines = append(lines, v.bar(79, true))
		}
	}
	lines = append(lines, v.bar(79, false), v.bar(40, true), v.bar(20, true))
	golden(t, "meter.txt", strings.Join(lines, "\n"))
	for _, l := range lines[:len(lines)-2] {
		if utf8.RuneCountInString(l) != 79 {
			t.Errorf("%q is not 79 wide", l)
		}
	}
}

// Zeros are silence after 5 s, and the smallest sound ends it.
func TestSilence(t *testing.T) {
	var v levels
	peaks := append(append(repeat(0, 60), 1.0/32768), repeat(0, 60)...)
	said := map[int]bool{}
	for i, l := range levelsOf(peaks...) {
		v.add(l)
		said[i] = strings.Contains(v.bar(79, true), silentWords)
	}
	for i, want := range map[int]bool{0: false, 49: false, 50: true, 59: true, 60: false, 109: false, 110: true} {
		if said[i] != want {
			t.Errorf("after %d levels it is said: %v", i+1, said[i])
		}
	}
}

// The mark stays for two seconds where it was loudest.
func TestHold(t *testing.T) {
	var v levels
	for i, l := range levelsOf(append([]float64{0.5}, repeat(0.1, 30)...)...) {
		v.add(l)
		if want := map[bool]float64{true: 0.5, false: 0.1}[i <= 20]; v.hold != want {
			t.Errorf("level %d: %v is held, want %v", i, v.hold, want)
		}
	}
}

func TestDecibels(t *testing.T) {
	for level, want := range map[float64]string{1: "  0.0", 0.5: " -6.0", 0.1: "-20.0", 1.0 / 32768: "-90.3", 0: " -inf", -1: " -inf"} {
		if got := figure(level); got != want {
			t.Errorf("%v is %q, want %q", level, got, want)
		}
	}
	if got := figure(math.NaN()); got != " -inf" {
		t.Errorf("no number is %q", got)
	}
	for level, want := range map[float64]int{1: 60, 0.5: 54, 0.001: 0, 0.0001: 0, 2: 60, 0: 0, math.NaN(): 0, math.Inf(1): 60} {
		if got := place(level, 60); got != want {
			t.Errorf("%v fills %d of 60, want %d", level, got, want)
		}
	}
}
