package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"salus/config"
	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/gateway/oversight"
	"salus/store"
)

// openIndex makes what resources are found by: R4's own search parameters, words, and those of the packages.
func openIndex(c *config.Config, known *profiles) (*index.Index, error) {
	further := known.set.Further()
	if c.FHIR.FullText != "off" {
		further = slices.Concat(index.FullText(c.FHIR.FullText == "content"), further)
	}
	return index.With(definition.R4(), further, c.FHIRBase())
}

// openSearch reads the packages that the configuration names, and makes what resources are found by with them.
func openSearch(c *config.Config) (*profiles, *index.Index, error) {
	known, err := openProfiles(c)
	if err != nil {
		return nil, nil, err
	}
	x, err := openIndex(c, known)
	if err != nil {
		return nil, nil, fmt.Errorf("node: search parameters: %w", err)
	}
	return known, x, nil
}

// indexed reports whether a store's resources are found by all of x's parameters, or notes that they have
// to be indexed anew. It says which parameters of packages nobody can search by.
func (n *Node) indexed(ctx context.Context, st *store.Store, x *index.Index, known *profiles) (done bool, err error) {
	for _, s := range x.Skipped() {
		n.log.WarnContext(ctx, "search_parameter_skipped", "canonical", s.Canonical, "type", s.Type, "reason", s.Reason)
	}
	for _, d := range known.set.Further() {
		for _, typ := range oversight.Types() {
			if q, ok := x.Param(typ, d.Code); ok && q.Definition == d.URL && slices.Contains(d.Base, typ) {
				n.log.WarnContext(ctx, "search_parameter_skipped", "canonical", d.URL, "type", typ, "reason", "this type is searched by parameters of its own only")
			}
		}
	}
	done, err = st.IndexBy(ctx, x.Digest())
	if done {
		x.Offer()
	}
	return done, err
}

// reindexSaid is after how many resources it is said again how far reindexing is.
const reindexSaid = 10_000

// reindex makes the stored resources found by the parameters that were added since they were written, and by
// those no more that were taken away. What fails is tried again: until it is done, the packages' parameters
// are refused.
func (p *fhirPart) reindex(ctx context.Context) {
	if p.indexed {
		return
	}
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		p.log.InfoContext(ctx, "reindexing")
		n := 0
		err := p.store.Reindex(ctx, p.entries, func(done int) {
			if done/reindexSaid > n/reindexSaid {
				p.log.InfoContext(ctx, "reindexing", "resources", done)
			}
			n = done
		})
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			p.index.Offer()
			p.log.InfoContext(ctx, "reindexed", "resources", n)
			return
		}
		p.log.ErrorContext(ctx, "not_reindexed", "resources", n, "err", err)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

var errStored = errors.New("node: a stored resource cannot be read")

// entries are those of a stored resource. They take room as writes do.
func (p *fhirPart) entries(body []byte) ([]search.Entry, error) {
	if err := p.room(len(body)); err != nil {
		return nil, err
	}
	r, err := fhir.Parse(body)
	if err != nil {
		return nil, errStored
	}
	return p.index.Entries(r)
}
