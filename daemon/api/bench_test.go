package api_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/client"
)

// BenchmarkRequests measures reads and commands over the socket, from one
// client and from 50 at once, and reports their median and 99th percentile.
// Commands are without a disk: the test's store is memory.
func BenchmarkRequests(b *testing.B) {
	k, err := apitest.Start()
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	c := client.New(k.Socket)
	defer c.Close()
	if _, err := c.Open(b.Context(), "bench"); err != nil {
		b.Fatal(err)
	}
	for name, ask := range map[string]func(context.Context, *client.Client) error{
		"status": func(ctx context.Context, c *client.Client) error { _, err := c.Status(ctx); return err },
		"mute":   func(ctx context.Context, c *client.Client) error { _, err := c.Mute(ctx, nil); return err },
	} {
		b.Run(name+"/1", func(b *testing.B) { measure(b, k, 1, ask) })
		b.Run(name+"/50", func(b *testing.B) { measure(b, k, 50, ask) })
	}
}

func measure(b *testing.B, k *apitest.Kiosk, clients int, ask func(context.Context, *client.Client) error) {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c := client.New(k.Socket)
			defer c.Close()
			var mine []time.Duration
			for range b.N/clients + 1 {
				begin := time.Now()
				if err := ask(b.Context(), c); err != nil {
					b.Error(err)
					return
				}
				mine = append(mine, time.Since(begin))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	if slices.Sort(took); len(took) > 0 {
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
	}
}
