package configs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// TokenSource is the file that a new token of the backend is put into, for commands that
// say so. Under systemd the daemon reads the token from its credentials, which are
// read-only copies: their source is the unit's (LoadCredential=), or a sealed file where
// a drop-in below root says so (LoadCredentialEncrypted=, systemd.exec(5)), which
// systemd-creds(1) writes.
func (b Backend) TokenSource(getenv func(string) string, root string) (file string, sealed bool) {
	credentials, _, _ := strings.Cut(getenv("CREDENTIALS_DIRECTORY"), ":")
	copied := credentials != "" && filepath.Dir(b.TokenFile) == filepath.Clean(credentials)
	if !copied && b.TokenFile != DefaultTokenFile {
		return b.TokenFile, false
	}
	if file := sealedToken(root); file != "" {
		return file, true
	}
	return DefaultTokenFile, false
}

// sealedToken reads the service's drop-ins, the one that counts last; "" where none says.
func sealedToken(root string) string {
	found := ""
	for _, dir := range []string{"run", "etc"} {
		files, _ := filepath.Glob(filepath.Join(root, dir, "systemd/system/kioskd.service.d/*.conf")) // the pattern is good
		slices.Sort(files)
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // not for us to read: not known
			}
			for line := range strings.Lines(string(text)) {
				value, ours := strings.CutPrefix(strings.TrimSpace(line), "LoadCredentialEncrypted=")
				if file, token := strings.CutPrefix(value, "backend-token:"); ours && (token || value == "") {
					found = file
				}
			}
		}
	}
	return found
}
