// Package portal holds the built web portal, for the one binary. `make portal` builds it;
// without that, dist holds a note and the gateway says that the portal is not built.
//
// It must never hold anything but files that everybody may fetch.
package portal

import (
	"embed"
	"io/fs"
)

//go:embed dist
var files embed.FS

// Files returns the built app: index.html and its assets.
func Files() fs.FS {
	sub, err := fs.Sub(files, "dist")
	if err != nil { // only of a path that is none
		return files
	}
	return sub
}
