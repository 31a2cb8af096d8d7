package openapi

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// use says which side a type is on. What is asked is closed: an unknown field is
// an error. What is answered is open: fields may come, and a client ignores
// those that it does not know.
type use int

const (
	answers use = iota
	requests
)

// schemas are the JSON Schemas (2020-12) of the named types, by type name.
type schemas struct{ named object }

func newSchemas() *schemas { return &schemas{named: object{}} }

// of gives a type's schema; a struct becomes a reference to components/schemas.
func (s *schemas) of(t reflect.Type, use use) (object, error) {
	if t == reflect.TypeFor[time.Time]() {
		return object{"type": "string", "format": "date-time"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}, nil
	case reflect.Bool:
		return object{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}, nil
	case reflect.Int32:
		return object{"type": "integer", "minimum": math.MinInt32, "maximum": math.MaxInt32}, nil
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}, nil
	case reflect.Float64:
		return object{"type": "number"}, nil
	case reflect.Slice:
		items, err := s.of(t.Elem(), use)
		return object{"type": "array", "items": items}, err
	case reflect.Map:
		values, err := s.of(t.Elem(), use)
		return object{"type": "object", "additionalProperties": values}, err
	case reflect.Pointer:
		inner, err := s.of(t.Elem(), use)
		return object{"oneOf": []any{inner, object{"type": "null"}}}, err
	case reflect.Struct:
		return s.structure(t, use)
	default:
		return nil, fmt.Errorf("no schema for a field of type %s", t)
	}
}

// structure describes a struct once and refers to it.
func (s *schemas) structure(t reflect.Type, use use) (object, error) {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if _, done := s.named[t.Name()]; done {
		return ref, nil
	}
	properties, required, choice := object{}, []any{}, true
	schema := object{"type": "object"}
	s.named[t.Name()] = schema // first, for a type that holds itself
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			return nil, fmt.Errorf("field %s of %s has no JSON name", f.Name, t.Name())
		}
		mayMiss := strings.Contains(options, "omit")
		ft := f.Type
		if use == requests { // a pointer tells there from not there, null is never taken
			mayMiss = f.Tag.Get("need") != ""
			choice = choice && f.Tag.Get("need") == "no"
		}
		if ft.Kind() == reflect.Pointer && (use == requests || mayMiss) {
			ft = ft.Elem()
		}
		property, err := s.of(ft, use)
		if err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", f.Name, t.Name(), err)
		}
		if err := bounds(property, f.Tag); err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", f.Name, t.Name(), err)
		}
		properties[name] = property
		if !mayMiss {
			required = append(required, name)
		}
	}
	schema["properties"] = properties
	if len(required) > 0 {
		schema["required"] = required
	}
	if use == requests {
		schema["additionalProperties"] = false
		if choice { // wire.Decode's rule: of optional fields alone exactly one
			schema["minProperties"], schema["maxProperties"] = 1, 1
		}
	}
	return ref, nil
}

// bounds puts a field's tags into its schema.
func bounds(property object, tag reflect.StructTag) error {
	if words, ok := tag.Lookup("enum"); ok {
		var list []any
		for _, w := range strings.Split(words, ",") {
			list = append(list, w)
		}
		property["enum"] = list
	}
	if p, ok := tag.Lookup("pattern"); ok {
		property["pattern"] = p
	}
	words := map[string]string{"min": "minLength", "max": "maxLength"}
	switch property["type"] {
	case "integer":
		words = map[string]string{"min": "minimum", "max": "maximum"}
	case "object":
		words = map[string]string{"min": "minProperties", "max": "maxProperties"}
	}
	for name, word := range words {
		text, ok := tag.Lookup(name)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("tag %s: %w", name, err)
		}
		property[word] = n
	}
	return nil
}
