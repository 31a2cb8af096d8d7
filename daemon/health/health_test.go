package health_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSetAgainKeepsSinceAndTakesNewWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := health.New()
		start := time.Now().UTC()
		s.Set("camera_missing", apitype.SeverityWarning, "No camera.", "Plug one in.")
		time.Sleep(time.Hour)
		s.Set("camera_missing", apitype.SeverityError, "Still no camera.", "")
		want := apitype.Condition{Code: "camera_missing", Since: start, Severity: apitype.SeverityError, Message: "Still no camera."}
		if got := s.List(); len(got) != 1 || got[0] != want {
			t.Fatalf("got %+v, want only %+v", got, want)
		}
		s.Clear("camera_missing")
		time.Sleep(time.Minute)
		s.Set("camera_missing", apitype.SeverityWarning, "No camera.", "")
		if got := s.List()[0].Since.Sub(start); got != time.Hour+time.Minute {
			t.Errorf("since is %v after the start, want it to begin anew after a Clear", got)
		}
	})
}

func TestListIsWorstFirstThenOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := health.New()
		for _, c := range []struct{ code, severity string }{
			{"d", apitype.SeverityInfo},
			{"c", apitype.SeverityWarning},
			{"b", apitype.SeverityError},
			{"a", apitype.SeverityError},
			{"e", "catastrophe"},
		} {
			s.Set(c.code, c.severity, "", "")
			time.Sleep(time.Second)
		}
		var order string
		for _, c := range s.List() {
			order += c.Code
		}
		if order != "baecd" {
			t.Errorf("order is %q, want baecd (an unknown severity counts as error)", order)
		}
	})
}

func TestListIsNeverNilAndIsACopy(t *testing.T) {
	s := health.New()
	if l := s.List(); l == nil || len(l) != 0 {
		t.Fatalf("got %#v, want an empty list", l)
	}
	s.Set("a", apitype.SeverityInfo, "words", "")
	s.List()[0].Message = "other words"
	if got := s.List()[0].Message; got != "words" {
		t.Errorf("the list can be changed from outside: %q", got)
	}
}

func TestWatchTellsChangesOnly(t *testing.T) {
	s := health.New()
	told := 0
	stop := s.Watch(func() { told++; s.List() }) // calling back must not lock up
	for i, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"new", func() { s.Set("a", apitype.SeverityInfo, "m", "h") }, 1},
		{"the same again", func() { s.Set("a", apitype.SeverityInfo, "m", "h") }, 1},
		{"new words", func() { s.Set("a", apitype.SeverityInfo, "n", "h") }, 2},
		{"clear", func() { s.Clear("a") }, 3},
		{"clear again", func() { s.Clear("a") }, 3},
		{"after stop", func() { stop(); s.Set("b", apitype.SeverityInfo, "", "") }, 3},
	} {
		if step.do(); told != step.want {
			t.Fatalf("step %d (%s): told %d times, want %d", i, step.name, told, step.want)
		}
	}
}

func TestListIsBounded(t *testing.T) {
	s := health.New()
	for i := range health.MaxConditions {
		if !s.Set(fmt.Sprint("code", i), apitype.SeverityInfo, "", "") {
			t.Fatalf("condition %d of %d was refused", i, health.MaxConditions)
		}
	}
	if s.Set("one_more", apitype.SeverityError, "", "") || s.Refused() != 1 {
		t.Error("a full list took one more, or did not count it")
	}
	if !s.Set("code3", apitype.SeverityError, "worse", "") {
		t.Error("a full list refused new words for a known condition")
	}
	s.Clear("code0")
	if !s.Set("one_more", apitype.SeverityError, "", "") {
		t.Error("there is room after a Clear, and the condition was refused")
	}
}

func TestConcurrentUse(t *testing.T) {
	s := health.New()
	defer s.Watch(func() { s.List() })()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			code := fmt.Sprint("code", i%4)
			for range 200 {
				s.Set(code, apitype.SeverityWarning, "m", "")
				s.Clear(code)
			}
		})
	}
	wg.Wait()
	if l := s.List(); len(l) != 0 {
		t.Errorf("left over: %+v", l)
	}
}
