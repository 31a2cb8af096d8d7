package camera

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// maxName bounds an ID or a Base in bytes.
	maxName = 128

	// maxSerial bounds a serial number; USB's strings end at 126 characters, and
	// what is longer than this is no serial number but somebody's mistake.
	maxSerial = 64

	// maxDepth bounds the way up in sysfs: seven hubs (USB 2.0, section 4.1.1) on a
	// bus behind some bridges.
	maxDepth = 32
)

// identity is what sysfs says about a node, without asking the driver: the
// kernel read the strings when the device was plugged in. So it is known of a
// camera that may not be opened or that hangs, too.
type identity struct {
	vendor, product string // idVendor, idProduct: four hexadecimal digits
	serial          string // "" where there is none that names one device
	port            string // the USB device's folder, such as 1-2.4
	function        string // bInterfaceNumber of the node's interface, two digits
	index           int    // which of the interface's nodes it is; uvcvideo's metadata is 1
	name            string // of the node; what VIDIOC_QUERYCAP says, too
}

// readIdentity finds the node with this device number below sys, usually /sys,
// and reads the USB device it belongs to; where it is of none only index and name
// are filled. False: sysfs does not know the node.
func readIdentity(sys string, major, minor uint32) (identity, bool) {
	root, err := filepath.EvalSymlinks(sys)
	if err != nil {
		return identity{}, false
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(root, "dev/char", fmt.Sprintf("%d:%d", major, minor)))
	if err != nil {
		return identity{}, false
	}
	id := identity{name: printable(attribute(dir, "name"))}
	id.index, _ = strconv.Atoi(attribute(dir, "index"))
	id.index = max(id.index, 0)
	function := ""
	for range maxDepth {
		if dir == root || len(dir) <= 1 {
			break
		}
		if n := attribute(dir, "bInterfaceNumber"); function == "" && hexadecimal(n, 2) {
			function = n
		}
		if v, p := attribute(dir, "idVendor"), attribute(dir, "idProduct"); hexadecimal(v, 4) && hexadecimal(p, 4) {
			id.vendor, id.product, id.function = v, p, function
			id.serial, id.port = serialNumber(attribute(dir, "serial")), identifier(filepath.Base(dir))
			break
		}
		dir = filepath.Dir(dir)
	}
	return id, true
}

// attribute reads a file of sysfs: one line, "" where it is not there.
func attribute(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	var b [4096]byte                 // the most that sysfs gives
	n, _ := f.Read(b[:])
	return strings.TrimSuffix(string(b[:n]), "\n")
}

// serialNumber gives the serial number as it is, or "" where it names no device:
// cheap cameras have none, zeros, or what was in their memory.
func serialNumber(s string) string {
	s = strings.Trim(s, " ")
	if len(s) > maxSerial || printable(s) != s || strings.Trim(identifier(s), "0_.-") == "" {
		return ""
	}
	return s
}

// base names the device the same wherever it is plugged in: by the numbers of its
// maker and model and its serial number, else by its port. "" where it is on no
// USB. The numbers are in the device's descriptor; maker and model in words are
// strings that it is asked for, and a bad cable can lose those.
//
// A device with several cameras in one housing (a second function, or a further
// node of one) has a name for each.
func (id identity) base() string {
	if id.vendor == "" {
		return ""
	}
	out := id.portName()
	if id.serial != "" {
		out = "usb-" + id.vendor + "-" + id.product + "-" + identifier(id.serial)
	}
	if id.function != "" && id.function != "00" {
		out += "-if" + id.function
	}
	if id.index > 0 {
		out += "-index" + strconv.Itoa(id.index)
	}
	return out
}

// portName is the place it is plugged in, as a name and as words; "" where it is
// on no USB.
func (id identity) portName() string {
	if id.port == "" {
		return ""
	}
	return "usb-" + id.port
}

func (id identity) where() string {
	if id.port == "" {
		return ""
	}
	return "USB port " + id.port
}

// setIDs gives each camera its ID: its Base, or where another one has the same,
// that and its port. Two that even share the port are counted in the order of
// their nodes.
func setIDs(cams []Info) {
	bases := map[string]int{}
	for _, c := range cams {
		bases[c.Base]++
	}
	taken := map[string]bool{}
	for i := range cams {
		c := &cams[i]
		c.ID = c.Base
		if bases[c.Base] > 1 && c.Port != "" && c.Port != c.Base {
			c.ID = c.Base + "-at-" + c.Port
		}
		for n, first := 2, c.ID; taken[c.ID]; n++ {
			c.ID = fmt.Sprintf("%s-%d", first, n)
		}
		taken[c.ID] = true
	}
}

// identifier makes of s a name of [A-Za-z0-9._-]: each run of other characters
// becomes one underscore, and what is too long is cut.
func identifier(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range s {
		switch {
		case b.Len() >= maxName-40: // room for a port and a count
			return b.String()
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			if gap {
				b.WriteByte('_')
			}
			gap = false
			b.WriteRune(r)
		default:
			gap = b.Len() > 0
		}
	}
	return b.String()
}

// printable leaves ASCII's printable characters of s.
func printable(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}

// hexadecimal says whether s is a number of n lower-case digits, as sysfs has it.
func hexadecimal(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "0123456789abcdef") == ""
}
