package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Problem is one bad key.
type Problem struct {
	// Key is "section.key"; empty where the text has no key at all.
	Key string
	// Where is file:line:column, "override", or empty for a Config that was not
	// loaded.
	Where string
	// Text says what is wrong and what to write instead.
	Text string
}

// Error is one line: place, key, text.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString("cannot use config")
	if p.Where != "" {
		b.WriteString(" " + p.Where)
	}
	if p.Key != "" {
		b.WriteString(": " + p.Key)
	}
	return b.String() + ": " + p.Text
}

// Validate checks every range and rule. Its error joins one *Problem a bad key,
// in the order of the struct; nil means the daemon can start with it.
func (c Config) Validate() error {
	problems := c.problems()
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// rules are the checks that a tag cannot say; key -> check of the value. A
// check's error is the text of the problem.
func (c Config) rules() map[string]func() error {
	return map[string]func() error{
		"api.socket":                func() error { return errors.Join(absolute(c.API.Socket), shorter(c.API.Socket, maxSocket)) },
		"store.dir":                 func() error { return absolute(c.Store.Dir) },
		"backend.url":               func() error { return checkURL(c.Backend.URL) },
		"backend.token_file":        func() error { return absolute(c.Backend.TokenFile) },
		"backend.ca_file":           func() error { return absolute(c.Backend.CAFile) },
		"backend.proxy":             func() error { return checkProxy(c.Backend.Proxy) },
		"backend.allow_hosts":       func() error { return each(c.Backend.AllowHosts, checkHost) },
		"backend.platform":          func() error { return matches(c.Backend.Platform, headerWord, "1 to 64 of A-Z a-z 0-9 . _ / -") },
		"camera.directory":          func() error { return absoluteGiven(c.Camera.Directory) },
		"camera.face":               func() error { return shorter(c.Camera.Face, maxText) },
		"microphone.device":         func() error { return given(c.Microphone.Device) },
		"speaker.device":            func() error { return given(c.Speaker.Device) },
		"network.ignore_interfaces": func() error { return each(c.Network.IgnoreInterfaces, checkInterface) },
		"room.ice_keepalive_ms":     c.Room.checkKeepalive,
		"room.udp_ports": func() error {
			_, _, err := parsePorts(c.Room.UDPPorts)
			return err
		},
	}
}

const (
	maxSocket  = 107 // sun_path without its final zero, unix(7)
	maxText    = 255 // a longer name of a device or path is a mistake
	maxEntries = 32  // of a list
	minPorts   = 32  // three participants, each with a port an address, and some that are not free again
	maxIfName  = 15  // IFNAMSIZ without its final zero, netdevice(7)
)

// problems runs the tags' checks, then the rules, in the order of the struct.
func (c Config) problems() []*Problem {
	rules := c.rules()
	var found []*Problem
	config := reflect.ValueOf(c)
	for i := range config.NumField() {
		section := config.Field(i)
		prefix := config.Type().Field(i).Tag.Get("toml") + "."
		for j := range section.NumField() {
			tag := section.Type().Field(j).Tag
			key := prefix + tag.Get("toml")
			err := checkTag(section.Field(j), tag)
			if rule, ok := rules[key]; err == nil && ok {
				err = rule()
			}
			if err != nil {
				found = append(found, &Problem{Key: key, Text: err.Error()})
			}
		}
	}
	return found
}

// checkTag enforces `range` and `oneof`.
func checkTag(v reflect.Value, tag reflect.StructTag) error {
	if bounds := tag.Get("range"); bounds != "" {
		low, high, err := parseRange(bounds)
		if err != nil {
			return err
		}
		if n := v.Int(); n < low || n > high {
			return fmt.Errorf("must be %d to %d %s, is %d", low, high, tag.Get("unit"), n)
		}
	}
	if words := tag.Get("oneof"); words != "" {
		if !slices.Contains(strings.Split(words, ","), v.String()) {
			return fmt.Errorf("must be one of %s, is %q", strings.ReplaceAll(words, ",", ", "), clip(v.String()))
		}
	}
	return nil
}

func parseRange(bounds string) (low, high int64, err error) {
	a, b, _ := strings.Cut(bounds, "..")
	low, errLow := strconv.ParseInt(a, 10, 64)
	high, errHigh := strconv.ParseInt(b, 10, 64)
	return low, high, errors.Join(errLow, errHigh)
}

// field is what the struct says about one key.
type field struct {
	typ reflect.Type
	tag reflect.StructTag
}

// fields lists every key of Config.
func fields() map[string]field {
	all := map[string]field{}
	config := reflect.TypeFor[Config]()
	for section := range config.Fields() {
		for f := range section.Type.Fields() {
			all[section.Tag.Get("toml")+"."+f.Tag.Get("toml")] = field{f.Type, f.Tag}
		}
	}
	return all
}

var (
	headerWord = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,64}$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
)

// checkURL holds the rule "plain http only to loopback". The text never quotes
// the address: someone may have put a password into it.
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("is empty; set the address of the appointments backend")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || !validHostname(u.Hostname()) {
		return errors.New("is not an address; write https://host[:port][/path]")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errors.New("must not hold a user, a password, a query or a fragment; the token goes into token_file")
	}
	if !validPort(u.Port()) && strings.Contains(u.Host[strings.LastIndexByte(u.Host, ']')+1:], ":") {
		return errors.New("has a bad port; write 1 to 65535")
	}
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		if isLoopback(u.Hostname()) {
			return nil
		}
		return errors.New("may use plain http to a loopback host only; use https")
	default:
		return errors.New("must start with https:// (or http:// to a loopback host)")
	}
}

// checkProxy never quotes the address either.
func checkProxy(raw string) error {
	if raw == "" {
		return nil
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || !validHostname(u.Hostname()) || !validPort(u.Port()) ||
		u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return errors.New("must be http://host:port, without a user, a path or anything else")
	}
	return nil
}

// isLoopback is true for addresses of 127.0.0.0/8 and ::1, and for the name
// "localhost" (RFC 6761, section 6.3).
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func checkHost(entry string) error {
	host, port := entry, ""
	if strings.Contains(entry, ":") {
		var err error
		if host, port, err = net.SplitHostPort(entry); err != nil || !validPort(port) {
			// A bare IPv6 address has colons and no port.
			if _, ipErr := netip.ParseAddr(entry); ipErr != nil {
				return fmt.Errorf("%q must be host or host:port, without a scheme", clip(entry))
			}
			host = entry
		}
	}
	if !validHostname(host) {
		return fmt.Errorf("%q must be host or host:port, without a scheme", clip(entry))
	}
	return nil
}

func validHostname(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	return hostName.MatchString(host)
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func checkInterface(name string) error {
	if name == "" || len(name) > maxIfName || strings.ContainsAny(name, "/ \t\n") {
		return fmt.Errorf("%q must be an interface's name, 1 to %d bytes", clip(name), maxIfName)
	}
	return nil
}

// parsePorts reads FIRST-LAST; empty is 0 and 0.
func parsePorts(text string) (first, last uint16, err error) {
	if text == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(text, "-")
	low, errLow := strconv.ParseUint(a, 10, 16)
	high, errHigh := strconv.ParseUint(b, 10, 16)
	if errLow != nil || errHigh != nil || low < 1024 || high < low || high-low+1 < minPorts {
		return 0, 0, fmt.Errorf("must be FIRST-LAST, at least %d ports of 1024 to 65535, is %q", minPorts, clip(text))
	}
	return uint16(low), uint16(high), nil
}

func (r Room) checkKeepalive() error {
	if r.ICEKeepaliveMS >= r.ICEDisconnectedMS {
		return fmt.Errorf("must be shorter than ice_disconnected_ms (%d), is %d", r.ICEDisconnectedMS, r.ICEKeepaliveMS)
	}
	return nil
}

// absolute accepts an empty path: Load has a default for it or it means "none".
func absolute(path string) error {
	if path != "" && (!filepath.IsAbs(path) || strings.ContainsRune(path, 0)) {
		return fmt.Errorf("must be an absolute path, is %q", clip(path))
	}
	return nil
}

func absoluteGiven(path string) error {
	if path == "" {
		return errors.New("must be an absolute path, is empty")
	}
	return absolute(path)
}

func shorter(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("must be at most %d bytes, is %d", limit, len(s))
	}
	return nil
}

func given(s string) error {
	if s == "" || len(s) > maxText {
		return fmt.Errorf("must be 1 to %d bytes, is %d", maxText, len(s))
	}
	return nil
}

func matches(s string, pattern *regexp.Regexp, words string) error {
	if !pattern.MatchString(s) {
		return fmt.Errorf("must be %s, is %q", words, clip(s))
	}
	return nil
}

func each(list []string, check func(string) error) error {
	if len(list) > maxEntries {
		return fmt.Errorf("must hold at most %d entries, holds %d", maxEntries, len(list))
	}
	for _, entry := range list {
		if err := check(entry); err != nil {
			return err
		}
	}
	return nil
}

// clip keeps an error readable when the value is absurd.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
