// Package assets holds the files of the clinician's page: plain HTML, CSS and
// JavaScript modules, embedded, no build step. blocks.js stands alone, so that
// a test driver can run the same block reader in another page.
//
// It owns nothing. Imported by clinicsim and by end-to-end tests.
package assets

import (
	"embed"
	"io/fs"
	"strings"

	"kioskd/cmd/kioskscreen/begin"
)

//go:embed *.html *.css *.js *.svg
var files embed.FS

// Files gives the page's files, all at the top: clinician.html, clinician.css,
// the JavaScript modules and icon.svg.
func Files() fs.FS { return files }

// Page gives clinician.html as it is served, with the script that pages begin with.
func Page() string {
	b, err := files.ReadFile("clinician.html")
	if err != nil {
		return "" // cannot happen: the file is part of the program, a test reads it
	}
	return strings.Replace(string(b), "<head>\n", "<head>\n"+string(begin.Script())+"\n", 1)
}

// Blocks gives the text of blocks.js, the reader and writer of the block code
// as an ECMAScript module without imports.
func Blocks() string {
	b, err := files.ReadFile("blocks.js")
	if err != nil {
		return "" // cannot happen: the file is part of the program, a test reads it
	}
	return string(b)
}
