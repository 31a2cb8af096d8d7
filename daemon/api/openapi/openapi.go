// Package openapi describes the control API as an OpenAPI 3.1 document. It owns
// the form of the document; what is in it comes from the route table and, by
// reflection, from the types and tags that the handlers use themselves, so that
// there is nothing beside the code that could differ from it.
//
// Who may import it: daemon/api. Imports: standard library and apitype.
package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"kioskd/daemon/api/apitype"
)

// Operation is one route: a method on a path.
type Operation struct {
	Method  string
	Path    string // {name} is a parameter, one path element
	Role    string // the least role, as x-least-role
	Summary string // one sentence
	Body    *Body  // nil: none is taken
	Query   []Parameter
	Key     bool // the request header Idempotency-Key is taken
	Answer  Answer
}

// Body is what a request may carry.
type Body struct {
	Type     string // media type
	Of       any    // a value of the type that JSON is decoded to; nil: text or an empty object
	Required bool   // false: an empty body means something too
}

// Parameter is a whole number in the query.
type Parameter struct {
	Name           string
	Low, High, Def int
}

// Answer is the good answer; every operation has the problem beside it.
type Answer struct {
	Status      int
	Type        string // media type; empty: no body
	Of          any    // a value of the type that is encoded; nil: text or any JSON
	Description string
}

type object = map[string]any

// problemName is the name of the shared error answer.
const problemName = "Problem"

// Document gives the document as JSON. Version is that of the daemon. It fails
// where a type has a field that JSON Schema has no word for.
func Document(version string, operations []Operation) ([]byte, error) {
	s := newSchemas()
	paths := object{}
	for _, op := range operations {
		o, err := s.operation(op)
		if err != nil {
			return nil, fmt.Errorf("cannot describe %s %s: %w", op.Method, op.Path, err)
		}
		path, _ := paths[op.Path].(object)
		if path == nil {
			path = object{}
			paths[op.Path] = path
		}
		path[strings.ToLower(op.Method)] = o
	}
	problem, err := s.of(reflect.TypeFor[apitype.Problem](), answers)
	if err != nil {
		return nil, fmt.Errorf("cannot describe problems: %w", err)
	}
	b, err := json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "kioskd control API", "version": version,
			"description": "HTTP/1.1 over a Unix socket. The role comes from the peer's credentials. A request with Origin, Referer or a foreign Host is refused.",
		},
		"servers": []any{object{"url": "http://kioskd", "description": "the host name is fixed; the address is the socket"}},
		"paths":   paths,
		"components": object{
			"schemas": s.named,
			"responses": object{problemName: object{
				"description": "An error (RFC 9457): a stable code, a sentence and a hint.",
				"content":     object{apitype.TypeProblem: object{"schema": problem}},
			}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("cannot encode the description: %w", err)
	}
	return b, nil
}

func (s *schemas) operation(op Operation) (object, error) {
	answer := object{"description": op.Answer.Description}
	if op.Answer.Type != "" {
		schema, err := s.content(op.Answer.Type, op.Answer.Of, answers)
		if err != nil {
			return nil, err
		}
		answer["content"] = schema
	}
	o := object{
		"operationId":  operationID(op),
		"summary":      op.Summary,
		"x-least-role": op.Role,
		"responses": object{
			strconv.Itoa(op.Answer.Status): answer,
			"default":                      object{"$ref": "#/components/responses/" + problemName},
		},
	}
	if p := parameters(op); len(p) > 0 {
		o["parameters"] = p
	}
	if op.Body != nil {
		content, err := s.content(op.Body.Type, op.Body.Of, requests)
		if err != nil {
			return nil, err
		}
		o["requestBody"] = object{"required": op.Body.Required, "content": content}
	}
	return o, nil
}

// operationID makes a name of method and path: "get_session_messages".
func operationID(op Operation) string {
	words := strings.FieldsFunc(op.Path, func(r rune) bool { return strings.ContainsRune("/{}.-", r) })
	return strings.ToLower(op.Method) + "_" + strings.Join(words[1:], "_")
}

func parameters(op Operation) []any {
	var list []any
	for _, element := range strings.Split(op.Path, "/") {
		if name, ok := strings.CutPrefix(element, "{"); ok {
			list = append(list, object{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true,
				"schema": object{"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
			})
		}
	}
	for _, q := range op.Query {
		list = append(list, object{
			"name": q.Name, "in": "query",
			"schema": object{"type": "integer", "minimum": q.Low, "maximum": q.High, "default": q.Def},
		})
	}
	if op.Key {
		list = append(list, object{
			"name": apitype.IdempotencyHeader, "in": "header",
			"description": "A repeated request with the same key acts once.",
			"schema":      object{"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
		})
	}
	return list
}

// content describes a body of a media type.
func (s *schemas) content(mediaType string, of any, use use) (object, error) {
	schema := object{"type": "string"}
	switch {
	case of != nil:
		var err error
		if schema, err = s.of(reflect.TypeOf(of), use); err != nil {
			return nil, err
		}
	case mediaType == apitype.TypeJSON && use == requests:
		schema = object{"type": "object", "additionalProperties": false}
	case mediaType == apitype.TypeJSON:
		schema = object{"type": "object"}
	}
	return object{mediaType: object{"schema": schema}}, nil
}
