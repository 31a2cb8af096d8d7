package configs

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// unknown says what a key that there is not was probably meant to be.
func unknown(key string) string {
	const text = "unknown key; "
	all := fields()
	section, name, dotted := strings.Cut(key, ".")
	if !dotted {
		if s := nearest(section, sections(all)); s != "" {
			return text + "did you mean the section [" + s + "]?"
		}
		return text + "see the sample for the names"
	}
	var here, elsewhere []string // names of the section; sections with this very name
	for _, k := range slices.Sorted(maps.Keys(all)) {
		s, n, _ := strings.Cut(k, ".")
		if s == section {
			here = append(here, n)
		}
		if n == name {
			elsewhere = append(elsewhere, s)
		}
	}
	if n := nearest(name, here); n != "" {
		return text + "did you mean " + n + "?"
	}
	if len(elsewhere) > 0 {
		return text + "it belongs into the section [" + strings.Join(elsewhere, "] or [") + "]"
	}
	if s := nearest(section, sections(all)); len(here) == 0 && s != "" {
		return text + "did you mean the section [" + s + "]?"
	}
	if len(here) == 0 {
		return text + "see the sample for the names"
	}
	return text + "[" + section + "] has " + strings.Join(here, ", ")
}

func sections(all map[string]field) []string {
	set := map[string]bool{}
	for key := range all {
		section, _, _ := strings.Cut(key, ".")
		set[section] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// nearest is the word of the list that takes the fewest letters to change; "" where
// even that is more than a third of the text.
func nearest(text string, list []string) string {
	const longest = 64 // a key of ours has 20 letters; a longer one is no slip
	if len(text) > longest {
		return ""
	}
	best, least := "", max(1, len(text)/3)+1
	for _, word := range list {
		if d := distance(strings.ToLower(text), word); d < least {
			best, least = word, d
		}
	}
	return best
}

// distance is the number of letters to put in, take out, change or swap with their
// neighbour (Damerau and Levenshtein's, restricted).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// wrongType says of a key what it takes, where text is the library's word that it is
// something else; "" where the text is about something else.
func wrongType(key, text string) string {
	rest, found := strings.CutPrefix(text, "cannot decode TOML ")
	is, _, cut := strings.Cut(rest, " into ")
	if !found || !cut {
		return ""
	}
	f, known := fields()[key]
	if !known {
		return "must be a section, written [" + key + "], is " + article(is)
	}
	return "must be " + takes(f) + ", is " + article(is)
}

// takes says what a key takes.
func takes(f field) string {
	switch f.typ.Kind() {
	case reflect.Int:
		return "a whole number (" + f.tag.Get("unit") + ")"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of strings, as in [\"a\", \"b\"]"
	default:
		return "a string in quotes"
	}
}

// article puts a or an before a word.
func article(word string) string {
	if word != "" && strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}
