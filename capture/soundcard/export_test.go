package soundcard

// What tests outside the package look at.
var (
	Identifier = identifier
	MixerName  = mixerName
	OpenError  = openError
)

// Card is what alsa-lib would say about a card with the capture or playback devices
// of these numbers.
func Card(index int, id, name string, numbers ...int) card {
	c := card{index: index, id: id, name: name, long: name + " at somewhere"}
	for _, n := range numbers {
		c.devices = append(c.devices, device{number: n, name: "USB Audio"})
	}
	return c
}

// Identify is identify.
func Identify(root string, stream Stream, cards ...card) []Info { return identify(root, stream, cards) }
