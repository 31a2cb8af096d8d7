package main

import (
	"runtime/debug"

	"kioskd/daemon/api/apitype"
)

// version is the release this source is of.
const version = apitype.Release

func buildVersion() apitype.Version {
	v := apitype.Version{Version: version}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v
}
