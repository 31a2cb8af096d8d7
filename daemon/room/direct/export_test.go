package direct

import "kioskd/daemon/room"

// Bar does what a word of the server does that it lets us in no more.
func Bar(r room.Room, err error) {
	d, ok := r.(*directRoom)
	if ok {
		d.post(func() { d.bar(err) })
	}
}

// Barred is what stands against the room once its last path fails.
func Barred(r room.Room) error {
	d, ok := r.(*directRoom)
	if !ok {
		return nil
	}
	said := make(chan error, 1)
	d.post(func() { said <- d.barred })
	select {
	case err := <-said:
		return err
	case <-d.life.Done():
		return d.life.Err()
	}
}
