package wire

import (
	"net/http"
	"net/url"
	"strconv"

	"kioskd/daemon/api/apitype"
)

// NoQuery refuses a query where the route takes none: who sends one expects
// something of it. The query itself is not repeated.
func NoQuery(r *http.Request) error {
	if r.URL.RawQuery == "" && !r.URL.ForceQuery {
		return nil
	}
	return badQuery("cannot take a query on this route", "leave out what follows the question mark")
}

// Number reads the one parameter that a query may have, a whole number from
// low to high in plain digits; without it the number is def.
func Number(r *http.Request, name string, low, high, def int) (int, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	hint := "send ?" + name + "=N, with N from " + strconv.Itoa(low) + " to " + strconv.Itoa(high) + ", or no query"
	if err != nil || len(values) > 1 || len(values[name]) != len(values) || len(values) == 0 && (r.URL.RawQuery != "" || r.URL.ForceQuery) {
		return 0, badQuery("cannot read the query", hint)
	}
	if len(values) == 0 {
		return def, nil
	}
	n, err := strconv.Atoi(values[name][0])
	if err != nil || n < low || n > high || strconv.Itoa(n) != values[name][0] {
		return 0, badQuery("cannot read the query: "+name+" is no number that this route takes", hint)
	}
	return n, nil
}

func badQuery(detail, hint string) error {
	return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest, detail, hint)
}
