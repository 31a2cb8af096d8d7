package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kioskd/daemon/api/apitype"
)

// previewCmd shows what a camera sees.
type previewCmd struct {
	Camera string `arg:"" optional:"" help:"The camera: its id, or a part of its id or name, or its role; without it face, or the only one."`
	Watch  bool   `help:"Take picture after picture, until Ctrl-C."`
	Output string `short:"o" placeholder:"FILE" help:"Write the picture to this file, a JPEG, instead of drawing it."`
	Force  bool   `help:"Overwrite the file."`
}

// rest is the pause between two pictures: each opens the camera anew.
const rest = 200 * time.Millisecond

// Validate refuses what does not go together.
func (c *previewCmd) Validate() error {
	if c.Watch && c.Output != "" {
		return errors.New("either --watch or -o")
	}
	if c.Force && c.Output == "" {
		return errors.New("--force is for -o")
	}
	return nil
}

// Run does it.
func (c *previewCmd) Run(e *env) error {
	if c.Output == "" && !e.screen().terminal {
		return errors.New("cannot draw the picture: this is no terminal. Write it to a file: kioskctl preview -o picture.jpg")
	}
	if c.Output != "" && !c.Force {
		if _, err := os.Lstat(c.Output); err == nil {
			return existsError(c.Output)
		}
	}
	d, err := e.device(apitype.KindCamera, c.Camera)
	if err != nil {
		return err
	}
	if c.Watch {
		return watchPictures(e, d)
	}
	jpeg, err := e.kiosk.Snapshot(e.ctx, d.ID)
	if err != nil {
		return err
	}
	if c.Output != "" {
		if err := writePicture(c.Output, jpeg, c.Force); err != nil {
			return err
		}
		return e.say("%s is in %s, %d KiB.", deviceName(d), c.Output, (len(jpeg)+1023)/1024)
	}
	s := e.screen()
	s.rows-- // the prompt that comes back
	text, err := pictureText(jpeg, d, s, time.Now())
	if err != nil {
		return err
	}
	return e.say("%s", text)
}

func existsError(path string) error {
	return fmt.Errorf("cannot write %s: it is there already. To overwrite it: --force", path)
}

// writePicture writes a picture that only its owner may read: there may be a
// patient on it. Nothing half-written is left, and nothing is overwritten
// without force.
func writePicture(path string, jpeg []byte, force bool) error {
	var f *os.File
	var err error
	if force { // beside it, then in its place: a link is replaced, not followed
		f, err = os.CreateTemp(filepath.Dir(path), ".kioskctl-*")
	} else {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if errors.Is(err, fs.ErrExist) {
		return existsError(path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the picture: %w", err)
	}
	to := f.Name()
	_, err = f.Write(jpeg)
	err = errors.Join(err, f.Close())
	if err == nil && force {
		err = os.Rename(to, path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the picture: %w", errors.Join(err, os.Remove(to)))
	}
	return nil
}

// watchPictures draws one picture over the other on a page of its own, which
// goes at the end, until the context ends. A camera that goes is waited for:
// whoever watches may be at its cable.
func watchPictures(e *env, d apitype.Device) (err error) {
	if e.screen().moves {
		if _, err := io.WriteString(e.out, enterPicture); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
		defer func() {
			_, left := io.WriteString(e.out, leavePicture)
			err = errors.Join(err, left)
		}()
	}
	for {
		jpeg, err := e.kiosk.Snapshot(e.ctx, d.ID)
		text := ""
		s := e.screen()
		switch {
		case err == nil:
			text, err = pictureText(jpeg, d, s, time.Now())
		case comesBack(err):
			text, err = shorten(printable(err.Error()), s.columns), nil
		}
		if err != nil {
			return err
		}
		if err := put(e, s, text); err != nil {
			return err
		}
		if err := pause(e.ctx, rest); err != nil {
			return err
		}
	}
}

// comesBack tells whether it is worth while to go on looking.
func comesBack(err error) bool {
	p := (*apitype.Problem)(nil)
	if !errors.As(err, &p) {
		return false
	}
	switch p.Code {
	case apitype.CodeDeviceMissing, apitype.CodeDeviceUnknown, apitype.CodeDeviceFailed: // unknown: gone, and bound to nothing
		return true
	}
	return false
}

// put draws a picture over the one before, in one write so that it does not
// flicker.
func put(e *env, s screen, text string) error {
	if s.moves {
		text = goHome + text + eraseBelow
	} else {
		text += "\n"
	}
	if _, err := io.WriteString(e.out, text); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// pictureText draws a JPEG to fill the screen and puts a line under it: the
// camera, the picture's size, when.
func pictureText(jpeg []byte, d apitype.Device, s screen, at time.Time) (string, error) {
	picture, err := decode(jpeg)
	if err != nil {
		return "", err
	}
	words := deviceName(d)
	if d.Role != "" {
		words += " (" + printable(d.Role) + ")"
	}
	size := picture.Bounds().Size()
	words = fmt.Sprintf("%s, %dx%d, %s", words, size.X, size.Y, at.Local().Format(time.TimeOnly))
	end := "\n"
	if s.moves {
		end = eraseRest + end
	}
	text := ""
	for _, line := range render(picture, s.columns, s.rows-1, s.colours) {
		text += line + end
	}
	return text + shorten(words, s.columns) + either(s.moves, eraseRest, ""), nil
}
