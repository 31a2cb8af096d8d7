// Package words owns the message catalogue: every sentence a patient, a
// technician or a test reads on the touchscreen or from the command line, in
// every language the kiosk speaks. One TOML file a language is embedded; the
// page gets the same catalogue as JSON from kioskscreen, so page and programs
// never say the same thing in two ways.
//
// Any package may import it. It imports the standard library and the TOML
// decoder, nothing of this project.
package words

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Fallback is the language used where another lacks a key, or where nothing
// that was asked for is spoken here.
const Fallback = "en"

//go:embed en.toml es.toml de.toml
var files embed.FS

// Catalogue holds the texts of one language. It never changes after Load and
// may be used by many goroutines.
type Catalogue struct {
	lang  string
	texts map[string]string
}

// Languages lists the tags that Load accepts, sorted: "de", "en", "es".
func Languages() []string {
	entries, err := files.ReadDir(".")
	if err != nil { // the embedded folder is always readable
		return []string{Fallback}
	}
	out := make([]string, 0, len(entries))
	for _, e := range entries {
		out = append(out, strings.TrimSuffix(e.Name(), ".toml"))
	}
	slices.Sort(out)
	return out
}

// Load reads one language. The tag is BCP 47 (RFC 5646); only its first part
// counts, so "de-CH" loads "de". Keys that the language lacks are filled in
// from Fallback. An unknown language is an error that names those there are.
func Load(lang string) (*Catalogue, error) {
	primary := primaryTag(lang)
	if !slices.Contains(Languages(), primary) {
		return nil, fmt.Errorf("cannot load the words for language %q: use one of %s",
			lang, strings.Join(Languages(), ", "))
	}
	texts, err := read(Fallback)
	if err != nil {
		return nil, err
	}
	if primary != Fallback {
		own, err := read(primary)
		if err != nil {
			return nil, err
		}
		maps.Copy(texts, own)
	}
	return &Catalogue{lang: primary, texts: texts}, nil
}

// Lang is the catalogue's language: "en", "es", ...
func (c *Catalogue) Lang() string { return c.lang }

// Has says whether the key has a text.
func (c *Catalogue) Has(key string) bool {
	_, ok := c.texts[key]
	return ok
}

// Text gives the text of a dotted key, for example "state.waiting.title", with
// {name} placeholders replaced from args, which are pairs: name, value, name,
// value. An unknown key comes back as itself, so that a gap is seen and not a
// blank; a placeholder without a value stays as it is.
func (c *Catalogue) Text(key string, args ...string) string {
	text, ok := c.texts[key]
	if !ok {
		return key
	}
	if len(args) < 2 {
		return text
	}
	// A Replacer goes over the text once, so a value that itself looks like a
	// placeholder (a participant's name is outside input) is left alone.
	pairs := make([]string, 0, len(args))
	for i := 0; i+1 < len(args); i += 2 {
		pairs = append(pairs, "{"+args[i]+"}", args[i+1])
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// All gives a copy of every key and text, for the page.
func (c *Catalogue) All() map[string]string { return maps.Clone(c.texts) }

// Match picks the best language for an Accept-Language header (RFC 9110,
// section 12.5.4): the highest weight wins, the earlier one among equals.
// Whatever the header holds, the result is a language Load accepts.
func Match(header string) string {
	const most = 1024 // a browser sends tens of bytes; the rest is not read
	if len(header) > most {
		header = header[:most]
	}
	spoken := Languages()
	best, bestWeight := Fallback, 0.0
	for part := range strings.SplitSeq(header, ",") {
		tag, params, _ := strings.Cut(part, ";")
		primary := primaryTag(strings.TrimSpace(tag))
		if !slices.Contains(spoken, primary) {
			continue
		}
		if w := weight(params); w > bestWeight {
			best, bestWeight = primary, w
		}
	}
	return best
}

// weight reads "q=0.8"; none means 1, and what is not a number from 0 to 1
// means 0.
func weight(params string) float64 {
	value, found := strings.CutPrefix(strings.TrimSpace(params), "q=")
	if !found {
		return 1
	}
	q, err := strconv.ParseFloat(value, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

func primaryTag(tag string) string {
	primary, _, _ := strings.Cut(strings.ReplaceAll(tag, "_", "-"), "-")
	return strings.ToLower(primary)
}

// read decodes one embedded file and flattens its tables to dotted keys.
func read(lang string) (map[string]string, error) {
	name := lang + ".toml"
	data, err := files.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the words file %s: %w", name, err)
	}
	return parse(name, data)
}

func parse(name string, data []byte) (map[string]string, error) {
	var tree map[string]any
	if err := toml.Unmarshal(data, &tree); err != nil {
		return nil, fmt.Errorf("cannot parse the words file %s: %w", name, err)
	}
	texts := make(map[string]string)
	if err := flatten(texts, "", tree); err != nil {
		return nil, fmt.Errorf("cannot use the words file %s: %w", name, err)
	}
	return texts, nil
}

func flatten(into map[string]string, prefix string, tree map[string]any) error {
	for key, value := range tree {
		switch v := value.(type) {
		case string:
			into[prefix+key] = v
		case map[string]any:
			if err := flatten(into, prefix+key+".", v); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s%s is not a text: write it in quotes", prefix, key)
		}
	}
	return nil
}
