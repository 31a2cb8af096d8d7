// Package begin is the small script that a page of ours starts with: it loads the page
// again where one of its files did not come. It is in the page itself, for a file of its
// own could be the one that is missing.
//
// Who may import it: programs that serve pages (kioskscreen, clinicsim). Imports: standard
// library.
package begin

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
)

//go:embed begin.js
var script string

// Script is the element for a page's head, in front of the files it guards.
func Script() template.HTML {
	return template.HTML("<script>" + script + "</script>") //nolint:gosec // embedded
}

// Source is what lets the script run under a page's policy: an item of script-src (CSP
// Level 3, section 2.3.1, hash-source).
func Source() string {
	sum := sha256.Sum256([]byte(script))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
