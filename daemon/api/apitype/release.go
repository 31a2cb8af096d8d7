package apitype

// Release is the release that this source is of; Version.Version of a daemon built of it.
const Release = "0.1.0"
