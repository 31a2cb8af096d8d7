package api

import (
	"net/http"
	"sync/atomic"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/metrics"
)

// counts are what was asked and how it went. Their labels come from the route table and
// from lists of ours: nobody can make new ones.
type counts struct {
	routes []routeCount // as the table has them, then one for what is no route
	took   map[string]*metrics.Duration
	// refused counts connections that the caps turned away.
	refused atomic.Uint64
}

// routeCount are the answers of one row, by the status's first digit; 0 is none: who
// asked hung up.
type routeCount struct {
	method, path string
	classes      [6]atomic.Uint64
}

// countedMethods are those with a histogram of their own.
var countedMethods = []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete}

func newCounts(table []route) *counts {
	c := &counts{routes: make([]routeCount, len(table)+1), took: map[string]*metrics.Duration{}}
	for i, r := range table {
		c.routes[i].method, c.routes[i].path = r.method, r.path
	}
	c.routes[len(table)].method, c.routes[len(table)].path = "other", "none"
	for _, m := range countedMethods {
		c.took[m] = &metrics.Duration{}
	}
	return c
}

// count notes one answer. Streams have no duration: they last as long as somebody listens.
func (c *counts) count(row int, stream bool, method string, status int, took time.Duration) {
	if row < 0 {
		row = len(c.routes) - 1
	}
	class := status / 100
	if class < 0 || class > 5 {
		class = 0
	}
	c.routes[row].classes[class].Add(1)
	if d := c.took[method]; d != nil && !stream {
		d.Observe(took)
	}
}

// Metrics are the API's own figures.
func (s *Server) Metrics() []metrics.Family {
	c := s.counts
	requests := metrics.Family{Name: "kioskd_api_requests_total", Type: metrics.Counter, Help: "Requests that were answered, by route and class of status."}
	for i := range c.routes {
		r := &c.routes[i]
		for class := range r.classes {
			if n := r.classes[class].Load(); n > 0 {
				requests.Samples = append(requests.Samples, metrics.Sample{
					Labels: []string{"method", r.method, "route", r.path, "class", string(rune('0'+class)) + "xx"}, Value: float64(n),
				})
			}
		}
	}
	took := metrics.Family{Name: "kioskd_api_request_duration_seconds", Type: metrics.Histogram, Help: "Time to answer a request, streams left out."}
	for _, m := range countedMethods {
		took.Samples = append(took.Samples, c.took[m].Samples("method", m)...)
	}
	open := 0
	if l := s.listener.Load(); l != nil {
		open = l.Open()
	}
	return []metrics.Family{
		requests, took,
		metrics.One("kioskd_api_connections", metrics.Gauge, "Connections to the control socket.", float64(open)),
		metrics.One("kioskd_api_connections_refused_total", metrics.Counter, "Connections that the caps turned away.", float64(c.refused.Load())),
		metrics.One("kioskd_api_event_streams", metrics.Gauge, "Event streams that are open.", float64(s.hub.Watchers())),
	}
}

// getMetrics gives all figures to Prometheus.
func (s *Server) getMetrics(w http.ResponseWriter, _ *http.Request) error {
	text, err := s.deps.Metrics()
	if err != nil {
		return err
	}
	wire.WriteAs(w, apitype.TypeMetrics, text)
	return nil
}
