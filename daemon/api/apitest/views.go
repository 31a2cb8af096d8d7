package apitest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"kioskd/daemon/api/apitype"
)

// Offer and Answer are session descriptions, just long enough to be ones.
const (
	Offer  = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	Answer = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
)

// Views answers every offer with Answer and remembers what it was asked. The
// stream "remote/nobody" is unknown, "remote/broken" fails, "remote/panic" panics.
type Views struct {
	mu    sync.Mutex
	made  int
	open  map[string]string // id -> stream
	Trail []string          // "create self", "patch v1 <fragment>", "delete v1"
}

// State tells what is open, as text.
func (v *Views) State() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return fmt.Sprint(v.open)
}

// Create makes a view.
func (v *Views) Create(_ context.Context, stream, _ string) (id, answer string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch stream {
	case "remote/nobody":
		return "", "", noView()
	case "remote/broken":
		return "", "", errors.New("cannot do it: secret inside")
	case "remote/panic":
		panic("a view went mad")
	}
	v.made++
	id = "v" + strconv.Itoa(v.made)
	if v.open == nil {
		v.open = map[string]string{}
	}
	v.open[id] = stream
	v.Trail = append(v.Trail, "create "+stream)
	return id, Answer, nil
}

// Patch takes a fragment.
func (v *Views) Patch(id, fragment string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.open[id]; !ok {
		return noView()
	}
	v.Trail = append(v.Trail, "patch "+id+" "+fragment)
	return nil
}

// Delete ends a view.
func (v *Views) Delete(id string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.open[id]; !ok {
		return noView()
	}
	delete(v.open, id)
	v.Trail = append(v.Trail, "delete "+id)
	return nil
}

func noView() error {
	return apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound, "cannot find this view", "make a new one")
}
