// Package microphone captures sound through alsa-lib: 48 kHz, mono, 16 bits, in
// chunks of 10 ms. It takes any name alsa-lib knows: hw:, plughw:, default, a
// plugin of a configuration file.
//
// It owns the PCM while Run runs: Run opens nothing and closes everything, so
// after it the device is free. A Keeper keeps a microphone open while it is
// wanted, through unplugging and a sound server's death or hang, and fills every gap
// with exact silence so that what comes after it never loses its clock. It also says
// when the device gives nothing but digital silence and when its card's own switch
// mutes it.
//
// May be imported by daemon, daemon/call and tests. It imports capture/soundcard
// and the standard library.
package microphone
