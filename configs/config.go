// Package configs owns the settings of kioskd: one struct, one commented sample
// (kioskd.toml, which is also the embedded default) and the checks of both.
//
// A Config is read once at the start and then only passed on by value; nothing
// changes it while the daemon runs. The environment is read here and nowhere
// else: after Load every path is filled in.
//
// Imports: standard library and go-toml. May be imported by cmd/kioskd, by
// daemon and its parts, and by capture's and store's callers. It imports
// nothing of this module.
package configs

import (
	"log/slog"
	"net/url"
	"time"
)

// Config holds every setting of kioskd, one field a section of the file.
//
// The tags of a field are its contract: `unit` is what a number counts, `range`
// its inclusive bounds ("low..high"), `oneof` the allowed words. Validate
// enforces them and a test compares them with the comments of kioskd.toml.
type Config struct {
	Daemon     Daemon     `toml:"daemon"`
	API        API        `toml:"api"`
	Store      Store      `toml:"store"`
	Backend    Backend    `toml:"backend"`
	Camera     Camera     `toml:"camera"`
	Microphone Microphone `toml:"microphone"`
	Speaker    Speaker    `toml:"speaker"`
	Video      Video      `toml:"video"`
	Audio      Audio      `toml:"audio"`
	Session    Session    `toml:"session"`
	Network    Network    `toml:"network"`
	Room       Room       `toml:"room"`
	Log        Log        `toml:"log"`
	Screen     Screen     `toml:"screen"`
}

// Daemon is how the daemon looks after itself.
type Daemon struct {
	// SafeMode keeps everything but the control API away after three deaths in a row,
	// each within 10 s of its start.
	SafeMode bool `toml:"safe_mode" unit:"yes or no"`
	// ClockCheck asks the kernel whether the clock is synchronised.
	ClockCheck bool `toml:"clock_check" unit:"yes or no"`
}

// API is the control socket.
type API struct {
	// Socket is the path of the Unix socket. Load replaces an empty one by
	// $RUNTIME_DIRECTORY/control.sock or DefaultSocket.
	Socket string `toml:"socket" unit:"path"`
}

// Store is where the daemon keeps its state.
type Store struct {
	// Dir is the state directory. Load replaces an empty one by
	// $STATE_DIRECTORY or DefaultStateDir.
	Dir string `toml:"dir" unit:"path"`
}

// Backend says how to reach the appointments backend.
type Backend struct {
	// URL is the base address; "/api/v3/..." is appended to its path. Required.
	// https, or http to a loopback host.
	URL string `toml:"url" unit:"URL"`
	// TokenFile holds the kiosk's bearer token. Load replaces an empty one by
	// $CREDENTIALS_DIRECTORY/backend-token or DefaultTokenFile.
	TokenFile string `toml:"token_file" unit:"path"`
	// CAFile is a PEM file whose certificates are trusted instead of the
	// system's; empty keeps the system's.
	CAFile string `toml:"ca_file" unit:"path"`
	// Proxy is the address of an HTTP proxy for https and wss, empty for none.
	Proxy string `toml:"proxy" unit:"URL"`
	// AllowHosts are the hosts (name or name:port), beside the URL's own, that
	// a redirect or a room's address may name.
	AllowHosts []string `toml:"allow_hosts" unit:"host or host:port"`
	// TimeoutSeconds bounds one request, redirects and body included.
	TimeoutSeconds int `toml:"timeout_seconds" unit:"seconds" range:"1..60"`
	// Device is sent as X-Device.
	Device string `toml:"device" unit:"word" oneof:"Desktop,Mobile"`
	// Platform is sent as X-Platform.
	Platform string `toml:"platform" unit:"word"`
}

// Timeout is TimeoutSeconds as a duration.
func (b Backend) Timeout() time.Duration { return seconds(b.TimeoutSeconds) }

// Camera chooses the camera and what it is asked for.
type Camera struct {
	// Directory is searched for video nodes.
	Directory string `toml:"directory" unit:"path"`
	// Face is the id or path of the camera used first, where none is bound to the
	// role face; empty takes the first usable one.
	Face string `toml:"face" unit:"id or path"`
	// Width and Height are the wanted picture size.
	Width  int `toml:"width" unit:"pixels" range:"160..3840"`
	Height int `toml:"height" unit:"pixels" range:"120..2160"`
	// FPS is the wanted rate.
	FPS int `toml:"fps" unit:"frames/s" range:"5..60"`
	// Format is the pixel format to ask the camera for.
	Format string `toml:"format" unit:"word" oneof:"auto,yuyv,mjpeg,nv12,yu12,grey"`
	// Fallback lets another camera stand in while the one in use is unplugged.
	Fallback bool `toml:"fallback" unit:"yes or no"`
}

// Speaker chooses the ALSA playback device of a technician's test tone. The call's
// sound is played by the screen's browser.
type Speaker struct {
	// Device is an ALSA PCM name, as `aplay -L` prints it; it is listed beside the
	// machine's sound cards.
	Device string `toml:"device" unit:"ALSA name"`
}

// Microphone chooses the ALSA capture device.
type Microphone struct {
	// Device is an ALSA PCM name, as `arecord -L` prints it, or a device's id. It
	// counts where none is bound to the role microphone.
	Device string `toml:"device" unit:"ALSA name"`
	// Enabled false sends silence and opens no device.
	Enabled bool `toml:"enabled" unit:"yes or no"`
}

// Video is the video encoder.
type Video struct {
	// Codec is the one to use where the others take it. auto: the one that costs
	// this machine less, H.264.
	Codec string `toml:"codec" unit:"word" oneof:"auto,h264,vp8"`
	// BitrateKbps is the target and the highest rate.
	BitrateKbps int `toml:"bitrate_kbps" unit:"kbit/s" range:"100..8000"`
	// CPUUsed is libvpx's speed: the lower, the faster and the coarser.
	CPUUsed int `toml:"cpu_used" unit:"libvpx step" range:"-16..-4"`
	// Threads is the encoder's number of threads; 0 lets it choose.
	Threads int `toml:"threads" unit:"threads" range:"0..4"`
	// CPUBudgetPercent is the share of one core that video may take before the
	// picture gets smaller or slower; 0: any.
	CPUBudgetPercent int `toml:"cpu_budget_percent" unit:"percent of a core" range:"0..100"`
	// Degradation says what gives way then.
	Degradation string `toml:"degradation" unit:"word" oneof:"balanced,maintain-framerate,maintain-resolution"`
}

// Audio is the audio encoder.
type Audio struct {
	// BitrateKbps is Opus's target.
	BitrateKbps int `toml:"bitrate_kbps" unit:"kbit/s" range:"8..128"`
}

// Session holds the limits and habits of a session.
type Session struct {
	// AskConsent makes every appointment wait for the patient's answer.
	AskConsent bool `toml:"ask_consent" unit:"yes or no"`
	// ReconnectSeconds is how long `reconnecting` may last.
	ReconnectSeconds int `toml:"reconnect_seconds" unit:"seconds" range:"5..3600"`
	// WaitSeconds and SessionSeconds are used where the backend's room gives
	// none.
	WaitSeconds    int `toml:"wait_seconds" unit:"seconds" range:"1..86400"`
	SessionSeconds int `toml:"session_seconds" unit:"seconds" range:"1..86400"`
}

// Reconnect is ReconnectSeconds as a duration.
func (s Session) Reconnect() time.Duration { return seconds(s.ReconnectSeconds) }

// Wait is WaitSeconds as a duration.
func (s Session) Wait() time.Duration { return seconds(s.WaitSeconds) }

// Limit is SessionSeconds as a duration.
func (s Session) Limit() time.Duration { return seconds(s.SessionSeconds) }

// Network says which links count when the daemon asks "is there a network?".
type Network struct {
	// IgnoreInterfaces are never counted and never used for the room's ICE.
	IgnoreInterfaces []string `toml:"ignore_interfaces" unit:"interface name"`
	// LoopbackCounts lets lo alone count as a network (demos and tests).
	LoopbackCounts bool `toml:"loopback_counts" unit:"yes or no"`
}

// Room is the WebRTC connection to the room.
type Room struct {
	// Loopback lets ICE gather on lo too (demos and tests).
	Loopback bool `toml:"loopback" unit:"yes or no"`
	// RelayOnly lets the call go through the room's TURN servers alone.
	RelayOnly bool `toml:"relay_only" unit:"yes or no"`
	// ICEDisconnectedMS is the silence after which a connection counts as
	// interrupted, ICEFailedMS the one after which it counts as lost, counted
	// from the interruption, ICEKeepaliveMS the pause between keep-alives
	// (pion's SetICETimeouts).
	ICEDisconnectedMS int `toml:"ice_disconnected_ms" unit:"milliseconds" range:"500..30000"`
	ICEFailedMS       int `toml:"ice_failed_ms" unit:"milliseconds" range:"1000..120000"`
	ICEKeepaliveMS    int `toml:"ice_keepalive_ms" unit:"milliseconds" range:"100..10000"`
	// UDPPorts bounds the kiosk's own UDP ports, "50000-50100"; empty: any.
	UDPPorts string `toml:"udp_ports" unit:"UDP ports"`
}

// Ports are the first and the last UDP port of the call, 0 and 0 for any.
func (r Room) Ports() [2]uint16 {
	first, last, err := parsePorts(r.UDPPorts)
	if err != nil { // Validate has refused it
		return [2]uint16{}
	}
	return [2]uint16{first, last}
}

// ICEDisconnected is ICEDisconnectedMS as a duration.
func (r Room) ICEDisconnected() time.Duration { return millis(r.ICEDisconnectedMS) }

// ICEFailed is ICEFailedMS as a duration.
func (r Room) ICEFailed() time.Duration { return millis(r.ICEFailedMS) }

// ICEKeepalive is ICEKeepaliveMS as a duration.
func (r Room) ICEKeepalive() time.Duration { return millis(r.ICEKeepaliveMS) }

// Log is what is written to standard error.
type Log struct {
	// Level is the least severe level that is written.
	Level string `toml:"level" unit:"word" oneof:"debug,info,warn,error"`
}

// SlogLevel is Level for log/slog; an unknown word is info.
func (l Log) SlogLevel() slog.Level {
	switch l.Level {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

// Screen is the touchscreen's share of the settings.
type Screen struct {
	// Language is the catalogue the texts come from (see configs/words).
	Language string `toml:"language" unit:"language" oneof:"en,es,de"`
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func millis(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// redactURL keeps scheme, host and path: user names, passwords and queries are
// where a secret would hide.
func redactURL(raw string) string {
	if raw == "" {
		return ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return "[redacted]"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
