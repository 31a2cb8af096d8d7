package encode

// EachNAL is for the tests.
func EachNAL(data []byte, f func(nal []byte) bool) { eachNAL(data, f) }
