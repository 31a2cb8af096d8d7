package configs

import (
	"bytes"
	_ "embed" // kioskd.toml is the default and the sample at once
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Where things are when neither the file nor systemd says so.
const (
	DefaultFile      = "/etc/kioskd/kioskd.toml"
	DefaultSocket    = "/run/kioskd/control.sock"
	DefaultStateDir  = "/var/lib/kioskd"
	DefaultTokenFile = "/etc/kioskd/backend-token" //nolint:gosec // a path, not a token
)

// maxFile bounds what is read of a config file, in bytes. The sample is 6 KiB.
const maxFile = 256 << 10

// sampleName stands for the embedded file in errors.
const sampleName = "built-in kioskd.toml"

//go:embed kioskd.toml
var sample []byte

// Sample is the commented sample, which is also the default of every key.
func Sample() []byte { return bytes.Clone(sample) }

// Load reads the file at path over the built-in default, then its drop-ins (see
// DropIns), then the overrides, fills in the paths that systemd gives (RUNTIME_DIRECTORY, STATE_DIRECTORY,
// CREDENTIALS_DIRECTORY; see systemd.exec(5)) and checks the whole.
//
// An empty path means the default alone. An override is "section.key=value",
// its value in TOML; the quotes of a text may be left out:
//
//	Load("/etc/kioskd/kioskd.toml", "backend.url=https://clinic.example", "camera.fps=15")
//
// The error names each bad key as file:line:column, or the override.
func Load(path string, overrides ...string) (Config, error) {
	b := newBuilder()
	if err := b.layer(sampleName, sample); err != nil {
		return Config{}, err
	}
	if path != "" {
		if err := b.file(path); err != nil {
			return Config{}, err
		}
	}
	for _, o := range overrides {
		if err := b.override(o); err != nil {
			return Config{}, err
		}
	}
	b.config.fillPaths(os.Getenv)
	return b.result()
}

// Parse is Load for bytes, without the environment: name stands for the file in
// errors, and paths that the bytes leave empty get their fixed defaults.
func Parse(name string, data []byte) (Config, error) {
	b := newBuilder()
	if err := b.layer(sampleName, sample); err != nil {
		return Config{}, err
	}
	if err := b.layer(name, data); err != nil {
		return Config{}, err
	}
	b.config.fillPaths(func(string) string { return "" })
	return b.result()
}

// builder puts the layers on top of each other and remembers who set each key.
type builder struct {
	config Config
	where  map[string]string // key -> file:line:column or override
}

func newBuilder() *builder { return &builder{where: map[string]string{}} }

// layer decodes data strictly over what is there.
func (b *builder) layer(name string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("cannot read config %s: larger than %d KiB; a settings file is a few KiB", name, maxFile>>10)
	}
	dec := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := dec.Decode(&b.config); err != nil {
		return explain(name, err)
	}
	for key, pos := range positions(data) {
		b.where[key] = fmt.Sprintf("%s:%d:%d", name, pos.line, pos.column)
	}
	return nil
}

// override applies one "section.key=value".
func (b *builder) override(text string) error {
	key, value, found := strings.Cut(text, "=")
	key = strings.TrimSpace(key)
	section, name, dotted := strings.Cut(key, ".")
	field, known := fields()[key]
	if !found || !dotted || !known {
		return fmt.Errorf("cannot apply override %q: %s; write section.key=value", clip(key), unknown(key))
	}
	value = strings.TrimSpace(value)
	if field.typ.Kind() == reflect.String && !strings.HasPrefix(value, `"`) && !strings.HasPrefix(value, "'") {
		value = tomlString(value)
	}
	doc := "[" + section + "]\n" + name + " = " + value + "\n"
	if len(positions([]byte(doc))) != 1 {
		// A line break in the value could bring a second key along.
		return fmt.Errorf("cannot apply override %s: its value is not one TOML value", key)
	}
	if err := toml.NewDecoder(strings.NewReader(doc)).DisallowUnknownFields().Decode(&b.config); err != nil {
		return fmt.Errorf("cannot apply override %s: %s", key, decodeText(err))
	}
	b.where[key] = "override"
	return nil
}

// result checks the config and says of each problem where the key was set.
func (b *builder) result() (Config, error) {
	problems := b.config.problems()
	if len(problems) == 0 {
		return b.config, nil
	}
	errs := make([]error, len(problems))
	for i, p := range problems {
		p.Where = b.where[p.Key]
		errs[i] = p
	}
	return Config{}, errors.Join(errs...)
}

// fillPaths completes the paths that are empty.
func (c *Config) fillPaths(getenv func(string) string) {
	fill := func(dst *string, variable, file, fallback string) {
		if *dst != "" {
			return
		}
		// systemd separates several directories with colons; the first is ours.
		dir, _, _ := strings.Cut(getenv(variable), ":")
		if dir == "" {
			*dst = fallback
			return
		}
		*dst = filepath.Join(dir, file)
	}
	fill(&c.API.Socket, "RUNTIME_DIRECTORY", "control.sock", DefaultSocket)
	fill(&c.Store.Dir, "STATE_DIRECTORY", "", DefaultStateDir)
	fill(&c.Backend.TokenFile, "CREDENTIALS_DIRECTORY", "backend-token", DefaultTokenFile)
}

// readFile reads at most maxFile+1 bytes: a device or a log given by mistake
// must not fill the memory.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read config: %w; give its path with --config", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading only
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read config: %w", err)
	}
	return data, nil
}

// tomlString quotes s as a TOML basic string (TOML 1.0, "String").
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// String shows every key as TOML would, secrets' hiding places cut away.
func (c Config) String() string {
	c.Backend.URL = redactURL(c.Backend.URL)
	out, err := toml.Marshal(c)
	if err != nil {
		return "[config: " + strconv.Quote(err.Error()) + "]"
	}
	return string(out)
}

// GoString is String, so that %#v hides the same.
func (c Config) GoString() string { return c.String() }

// Shown gives every key as its section's table would, the same hidden as in
// String: for whoever wants to see what the daemon runs with.
func (c Config) Shown() map[string]map[string]any {
	c.Backend.URL = redactURL(c.Backend.URL)
	out := map[string]map[string]any{}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		section, keys := v.Field(i), map[string]any{}
		for j := range section.NumField() {
			keys[section.Type().Field(j).Tag.Get("toml")] = section.Field(j).Interface()
		}
		out[v.Type().Field(i).Tag.Get("toml")] = keys
	}
	return out
}

// LogValue is one group a section, with the same hidden as in String.
func (c Config) LogValue() slog.Value {
	shown := c.Shown()
	groups := make([]slog.Attr, 0, len(shown))
	for _, section := range slices.Sorted(maps.Keys(shown)) {
		var attrs []any
		for _, key := range slices.Sorted(maps.Keys(shown[section])) {
			attrs = append(attrs, slog.Any(key, shown[section][key]))
		}
		groups = append(groups, slog.Group(section, attrs...))
	}
	return slog.GroupValue(groups...)
}

// Differs names the keys (section.key) in which the other settings differ, sorted.
func (c Config) Differs(other Config) []string {
	var keys []string
	a, b := reflect.ValueOf(c), reflect.ValueOf(other)
	for i := range a.NumField() {
		section := a.Type().Field(i)
		for j := range a.Field(i).NumField() {
			if !reflect.DeepEqual(a.Field(i).Field(j).Interface(), b.Field(i).Field(j).Interface()) {
				keys = append(keys, section.Tag.Get("toml")+"."+section.Type.Field(j).Tag.Get("toml"))
			}
		}
	}
	slices.Sort(keys)
	return keys
}

// LiveKeys are the keys (section.key) that a reload changes while the daemon runs; the
// others wait for a restart. Those of the session count for appointments to come: limits
// never move under a patient.
func LiveKeys() []string {
	return []string{
		"log.level",
		"session.ask_consent", "session.reconnect_seconds", "session.session_seconds", "session.wait_seconds",
	}
}
