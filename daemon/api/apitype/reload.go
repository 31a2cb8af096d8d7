package apitype

// ReloadAnswer says what became of settings that were read anew. Keys are written
// section.key.
type ReloadAnswer struct {
	// Changed are in force from now on; those of the session count for the next one.
	Changed []string `json:"changed"`
	// NeedRestart differ from what runs and count after a restart.
	NeedRestart []string `json:"need_restart"`
}
