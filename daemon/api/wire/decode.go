package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"kioskd/daemon/api/apitype"
)

// Decode decodes one JSON object strictly (RFC 8259) into target, a pointer to
// a struct of strings, booleans, numbers, maps of int32 and pointers to them; nil takes
// no fields. Every field is there once, spelled exactly, of its type and not null; no
// other field; no text after it; all of it UTF-8. encoding/json alone lets
// case, doubles, nulls and broken text pass. A field with the tag `need:"no"` or
// `need:"may"` may be missing; of a struct that has only fields of the first kind
// exactly one is there. `min` and `max` bound numbers and the members of maps.
func Decode(body []byte, target any) error {
	if !utf8.Valid(body) {
		return BadJSON("cannot read the body: it is not valid UTF-8")
	}
	if loneSurrogate(body) {
		return BadJSON("cannot read the body: it has half a surrogate pair")
	}
	fields := fieldsOf(target)
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return BadJSON("cannot read the body: it is no JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, isName := t.(string)
		if err != nil || !isName {
			return BadJSON("cannot read the body: it is no JSON object")
		}
		target, known := fields[name]
		switch {
		case !known: // the name is the caller's text: it is not repeated
			return BadJSON("cannot read the body: it has a field that this route does not take")
		case seen[name]:
			return BadJSON(fmt.Sprintf("cannot read the body: %q is there twice", name))
		}
		seen[name] = true
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return BadJSON("cannot read the body: it is no JSON object")
		}
		if string(raw) == "null" || json.Unmarshal(raw, target.into) != nil || !members(raw, target.into) {
			return BadJSON(fmt.Sprintf("cannot read the body: %q has the wrong type", name))
		}
		if !target.holds() {
			return BadJSON(fmt.Sprintf("cannot read the body: %q is out of its bounds", name))
		}
	}
	if _, err := dec.Token(); err != nil {
		return BadJSON("cannot read the body: it is no JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return BadJSON("cannot read the body: there is text after the JSON object")
	}
	return complete(fields, seen)
}

// complete says what is missing, or too much.
func complete(fields map[string]field, seen map[string]bool) error {
	choice := len(fields) > 0
	for name, f := range fields {
		choice = choice && f.need == "no"
		if f.need == "" && !seen[name] {
			return BadJSON(fmt.Sprintf("cannot read the body: %q is missing", name))
		}
	}
	if choice && len(seen) != 1 {
		return BadJSON(fmt.Sprintf("cannot read the body: it has %d of its fields and takes exactly one", len(seen)))
	}
	return nil
}

// members says of a map that each member is there once and not null; of anything else
// that it is well.
func members(raw []byte, into any) bool {
	if reflect.TypeOf(into).Elem().Kind() != reflect.Map {
		return true
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if _, err := dec.Token(); err != nil { // the brace: it was decoded before
		return false
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok || seen[name] {
			return false
		}
		seen[name] = true
		var value json.RawMessage
		if dec.Decode(&value) != nil || string(value) == "null" {
			return false
		}
	}
	return true
}

// field is where a field of a body goes.
type field struct {
	into any
	need string // the tag
	tag  reflect.StructTag
}

// holds says whether the value is within the tags' bounds. Those of texts are for who
// knows what the text is.
func (f field) holds() bool {
	v := reflect.ValueOf(f.into).Elem()
	var n int64
	switch v.Kind() {
	case reflect.Int:
		n = v.Int()
	case reflect.Map:
		n = int64(v.Len())
	default:
		return true
	}
	low, errLow := strconv.ParseInt(f.tag.Get("min"), 10, 64)
	high, errHigh := strconv.ParseInt(f.tag.Get("max"), 10, 64)
	return (errLow != nil || n >= low) && (errHigh != nil || n <= high)
}

// fieldsOf lists the fields of the struct that target points to.
func fieldsOf(target any) map[string]field {
	fields := map[string]field{}
	if target == nil {
		return fields
	}
	v := reflect.ValueOf(target).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		fields[name] = field{v.Field(i).Addr().Interface(), tag.Get("need"), tag}
	}
	return fields
}

// loneSurrogate tells whether an escape \uD800 to \uDFFF stands without its
// other half (RFC 8259 section 8.2): encoding/json would quietly put U+FFFD for it.
func loneSurrogate(body []byte) bool {
	unit := func(i int) (n uint32, ok bool) {
		if i+6 > len(body) || body[i] != '\\' || body[i+1] != 'u' {
			return 0, false
		}
		for _, c := range body[i+2 : i+6] {
			switch {
			case '0' <= c && c <= '9':
				n = n<<4 | uint32(c-'0')
			case 'a' <= c|0x20 && c|0x20 <= 'f':
				n = n<<4 | uint32(c|0x20-'a'+10)
			default:
				return 0, false
			}
		}
		return n, true
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		high, ok := unit(i)
		switch {
		case !ok || high < 0xd800 || high > 0xdfff:
			i++ // the character after the backslash is no backslash of its own
		case high >= 0xdc00:
			return true
		default:
			if low, ok := unit(i + 6); !ok || low < 0xdc00 || low > 0xdfff {
				return true
			}
			i += 11
		}
	}
	return false
}

// BadJSON is the problem of a body that is not what its route takes.
func BadJSON(detail string) error {
	return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadJSON, detail, "")
}
