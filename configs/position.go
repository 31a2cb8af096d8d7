package configs

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in a file; both counted from 1.
type position struct{ line, column int }

// positions finds where each "section.key" of a valid document stands. Broken
// documents give what was found before the break.
//
// go-toml reports positions for what it refuses itself; the ranges are ours, so
// their places have to be found here.
func positions(data []byte) map[string]position {
	found := map[string]position{}
	p := unstable.Parser{}
	p.Reset(data)
	var table []string
	for p.NextExpression() {
		e := p.Expression()
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = keyParts(e)
		case unstable.KeyValue:
			record(&p, e, table, found)
		default: // comments
		}
	}
	return found
}

// record notes one key and, for an inline table, the keys in it.
func record(p *unstable.Parser, kv *unstable.Node, table []string, found map[string]position) {
	path := append(append([]string{}, table...), keyParts(kv)...)
	if value := kv.Value(); value.Kind == unstable.InlineTable {
		for it := value.Children(); it.Next(); {
			if child := it.Node(); child.Kind == unstable.KeyValue {
				record(p, child, path, found)
			}
		}
		return
	}
	it := kv.Key()
	if !it.Next() {
		return
	}
	start := p.Shape(it.Node().Raw).Start
	found[strings.Join(path, ".")] = position{start.Line, start.Column}
}

func keyParts(n *unstable.Node) []string {
	var parts []string
	for it := n.Key(); it.Next(); {
		parts = append(parts, string(it.Node().Data))
	}
	return parts
}

// explain turns go-toml's errors into ours: place, key, what is wrong.
func explain(name string, err error) error {
	var missing *toml.StrictMissingError
	if errors.As(err, &missing) {
		errs := make([]error, 0, len(missing.Errors))
		for i := range missing.Errors {
			e := &missing.Errors[i]
			line, column := e.Position()
			errs = append(errs, &Problem{
				Key:   strings.Join(e.Key(), "."),
				Where: fmt.Sprintf("%s:%d:%d", name, line, column),
				Text:  unknown(strings.Join(e.Key(), ".")),
			})
		}
		return errors.Join(errs...)
	}
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		line, column := decode.Position()
		key := strings.Join(decode.Key(), ".")
		return &Problem{
			Key:   key,
			Where: fmt.Sprintf("%s:%d:%d", name, line, column),
			Text:  cmp.Or(wrongType(key, decodeText(err)), decodeText(err)),
		}
	}
	return fmt.Errorf("cannot read config %s: %s", name, decodeText(err))
}

// decodeText is the library's sentence without its prefix.
func decodeText(err error) string { return strings.TrimPrefix(err.Error(), "toml: ") }
