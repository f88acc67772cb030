package node

import (
	"bytes"
	"fmt"
	"path/filepath"
	"time"

	codes "salus/fhir/terminology"
	"salus/gateway/terminology"
	"salus/store"
)

// openTerminology makes what answers questions about codes: from the store, from the packages that
// the configuration names, of which the last comes first, and from R4's own.
func (n *Node) openTerminology(st *store.Store) (*terminology.Service, error) {
	loaded := codes.R4()
	for _, f := range n.cfg.PackageFiles() {
		b, err := readPackage(f)
		if err == nil {
			loaded, err = loaded.Add(bytes.NewReader(b))
		}
		if err != nil {
			return nil, fmt.Errorf("node: fhir.packages: %s: %w", filepath.Base(f.Path), err)
		}
	}
	return terminology.New(terminology.Config{Store: st, Loaded: loaded, Now: time.Now, Base: n.cfg.FHIRBase()}), nil
}
