package main

import (
	"fmt"
	"strconv"
	"strings"
)

// lists are the flags that say something of each camera: one value for all, or
// comma-separated ones.
type lists struct{ product, serial, maker, usbID, port string }

// identities gives what the flags say of n cameras.
func (l lists) identities(n int) ([]identity, error) {
	ids := make([]identity, n)
	for _, f := range []struct {
		flag, value string
		set         func(id *identity, s string) error
	}{
		{"product", l.product, setText(31, func(id *identity) *string { return &id.product })}, // struct v4l2_capability has 32 bytes
		{"serial", l.serial, setText(64, func(id *identity) *string { return &id.serial })},
		{"vendor", l.maker, setText(64, func(id *identity) *string { return &id.maker })},
		{"usb-id", l.usbID, setUSBID},
		{"port", l.port, setPort},
	} {
		values := strings.Split(f.value, ",")
		if len(values) != 1 && len(values) != n {
			return nil, fmt.Errorf("cannot use -%s %q: one value, or one for each of %d cameras", f.flag, f.value, n)
		}
		for i := range ids {
			if err := f.set(&ids[i], values[i%len(values)]); err != nil {
				return nil, fmt.Errorf("cannot use -%s: %w", f.flag, err)
			}
		}
	}
	return ids, nil
}

// setText takes a text that can stand in a file name.
func setText(most int, field func(*identity) *string) func(*identity, string) error {
	return func(id *identity, s string) error {
		if !plain(s, 0, most) {
			return fmt.Errorf("%q: %d letters, digits, spaces, - _ . at most", s, most)
		}
		*field(id) = s
		return nil
	}
}

func setUSBID(id *identity, s string) error {
	vendor, product, _ := strings.Cut(s, ":")
	v, err := strconv.ParseUint(vendor, 16, 16)
	if err != nil {
		return fmt.Errorf("%q: want hex as in 046d:082d: %w", s, err)
	}
	p, err := strconv.ParseUint(product, 16, 16)
	if err != nil {
		return fmt.Errorf("%q: want hex as in 046d:082d: %w", s, err)
	}
	id.vendor, id.model = uint16(v), uint16(p)
	return nil
}

func setPort(id *identity, s string) error {
	if s != "" && !portForm.MatchString(s) {
		return fmt.Errorf("%q: want bus and ports as in 1-2 or 1-2.4", s)
	}
	id.port = s
	return nil
}
