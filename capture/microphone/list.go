package microphone

import "kioskd/capture/soundcard"

// Info is one capture device of a sound card; see soundcard.Info for each field. ID
// is what to remember it by, Device what to open now.
type Info = soundcard.Info

// List gives the capture devices of all cards, none where there is no card. A
// card that goes away meanwhile, or that the caller may not open, is left out.
// Names of a configuration file, such as "default" and "pulse", are no cards: they
// are not listed, and open all the same.
func List() ([]Info, error) { return soundcard.List(soundcard.Capture) }
