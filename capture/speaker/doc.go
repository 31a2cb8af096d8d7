// Package speaker plays a test tone through alsa-lib and lists what it can be played
// on. The sound of a call is the page's.
//
// It holds no device between two tones. May be imported by daemon and tests. It
// imports capture/soundcard and the standard library.
package speaker
