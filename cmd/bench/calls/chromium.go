package calls

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"kioskd/daemon/e2e/stage"
)

// chromium has a browser hold the call.
func (s *Series) chromium(ctx context.Context, r Run) (roots []int, end func() error, err error) {
	s.calls++
	room, err := s.stage.Room(ctx, fmt.Sprintf("bench-%d", s.calls))
	if err != nil {
		return nil, nil, err
	}
	b, err := s.stage.Open(ctx, "kiosk", s.stage.Backend()+"/assets/icon.svg", 1280, 800, "use-fake-ui-for-media-stream")
	if err != nil {
		return nil, nil, err
	}
	end = func() error {
		_, err := stage.Eval[bool](ctx, b, "window.benchKiosk?.leave() ?? true")
		return errors.Join(err, b.Close())
	}
	pid, err := b.PID()
	if err == nil {
		err = s.beginChromium(ctx, b, r, room)
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return []int{pid}, end, nil
}

func (s *Series) beginChromium(ctx context.Context, b *stage.Browser, r Run, room stage.Room) error {
	// An empty page of the room's origin: the signalling lets no other in.
	if err := b.Navigate(ctx, s.stage.Backend()+"/nothing"); err != nil {
		return err
	}
	err := call(ctx, b, kioskJS, map[string]any{
		"url": room.URL, "token": room.Token, "codec": r.Codec, "audio": r.sound(), "twoWay": r.twoWay(), "kbps": kbps, "places": s.places,
	})
	if err != nil {
		return err
	}
	if err := b.Until(ctx, "benchKiosk.connected"); err != nil {
		said, _ := stage.Eval[string](ctx, b, "benchKiosk.error")
		return fmt.Errorf("%w (it said %q)", err, said)
	}
	return nil
}
