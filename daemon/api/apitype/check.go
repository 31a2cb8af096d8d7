package apitype

// Results of a Check, from good to bad.
const (
	CheckSkip = "skip" // it could not be asked, or not now
	CheckPass = "pass"
	CheckWarn = "warn" // calls work; somebody should look at it
	CheckFail = "fail" // calls cannot be made, or suffer
)

// The checks of POST /v1/checks, in the order of their answer.
const (
	CheckCamera     = "camera"
	CheckMicrophone = "microphone"
	CheckSpeaker    = "speaker"
	CheckNetwork    = "network"
	CheckDNS        = "dns"
	CheckBackend    = "backend" // TLS and all that is between here and an answer
	CheckToken      = "token"
	CheckClock      = "clock"
	CheckDisk       = "disk"
	CheckMedia      = "media" // the whole way from the camera to a receiver on loopback
)

// Check is one check and how it went. It carries no patient data.
type Check struct {
	Code   string `json:"code"` // "camera", "dns", stable
	Result string `json:"result" enum:"skip,pass,warn,fail"`
	// Fault names what is wrong, or why it was skipped; stable: "camera_busy",
	// "tls_expired". Empty where it passed.
	Fault   string `json:"fault,omitempty"`
	Message string `json:"message"`        // one sentence
	Hint    string `json:"hint,omitempty"` // what to do, in plain words
	// Command mends it, or shows more where nothing but a hand can; for a technician
	// as root. Empty where there is none.
	Command string `json:"command,omitempty"`
	// Figures are what was measured, by name with its unit: "skew_seconds", "free_bytes".
	Figures map[string]float64 `json:"figures,omitempty"`
}

// Checks is the answer of POST /v1/checks.
type Checks struct {
	OK     bool    `json:"ok"`     // none has failed
	Checks []Check `json:"checks"` // never null
}

// ChecksRequest is the body of POST /v1/checks; an empty body runs all of them.
type ChecksRequest struct {
	// Only runs this one.
	Only string `json:"only" need:"may" enum:"camera,microphone,speaker,network,dns,backend,token,clock,disk,media"`
	// Without leaves this one out.
	Without string `json:"without" need:"may" enum:"camera,microphone,speaker,network,dns,backend,token,clock,disk,media"`
	// Seconds is how long the check of the media lasts.
	Seconds int `json:"seconds" need:"may" min:"1" max:"30"` // left out: 3
}

// CheckCodes are the codes of all checks, in the order of their answer.
func CheckCodes() []string {
	return []string{
		CheckCamera, CheckMicrophone, CheckSpeaker, CheckNetwork, CheckDNS, CheckBackend, CheckToken, CheckClock, CheckDisk, CheckMedia,
	}
}
