package pcf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A version is a Consent as it stood after one transaction.
type version struct {
	parts  []consent.Standing
	before *version // nil for the first
	change Change   // the last of the transaction's
}

// terms are the grants that stand, or after a revocation those that stood before it.
func (v *version) terms() []consent.Standing {
	for len(v.parts) == 0 && v.before != nil {
		v = v.before
	}
	return v.parts
}

// id names the version: it changes with whatever changes.
func (v *version) id() string {
	h := sha256.New()
	for _, s := range v.parts {
		h.Write(s.Grant.ID[:])
		fmt.Fprintf(h, "/%d/%d.", s.Grant.Version, s.Height)
	}
	fmt.Fprintf(h, "%d", v.change.Index)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// versions replays one Consent. Error: ErrNotFound if there never was one.
func (s *Service) versions(ctx context.Context, patient tx.Account, group Group) ([]*version, *Chart, error) {
	chart, err := s.Chain.Chart(ctx, patient)
	if err != nil {
		return nil, nil, err
	}
	changes, err := s.Chain.Changes(ctx, patient)
	if err != nil {
		return nil, nil, err
	}
	out := replay(changes, group, taken(patient, &chart))
	if len(out) == 0 {
		return nil, nil, ErrNotFound
	}
	return out, &chart, nil
}

// taken says what a revocation of all took: what its signer could revoke (consent.Revoke). In what
// right a proxy revoked what was recorded the log does not say; what still stands was not taken.
func taken(patient tx.Account, chart *Chart) func(c *Change, s *consent.Standing) bool {
	return func(c *Change, s *consent.Standing) bool {
		stands := slices.ContainsFunc(chart.Consents.Grants, func(g consent.Standing) bool {
			return g.Grant.ID == s.Grant.ID && g.Height == s.Height && g.Height <= c.Height && g.Grant.Version == s.Grant.Version
		})
		return !stands && (c.By == patient || c.By == s.By || s.Grant.Recorded)
	}
}

// replay makes the versions of a Consent from what happened to the patient's grants.
func replay(changes []Change, group Group, taken func(*Change, *consent.Standing) bool) (out []*version) {
	var parts []consent.Standing
	for _, c := range changes {
		all := c.Revoked() && c.ID == (consent.GrantID{})
		if !all && groupOf(c.ID) != group {
			continue
		}
		before := parts
		parts = slices.DeleteFunc(slices.Clone(parts), func(s consent.Standing) bool {
			return s.Grant.ID == c.ID || all && taken(&c, &s)
		})
		if c.Revoked() && len(parts) == len(before) {
			continue
		}
		if !c.Revoked() {
			parts = append(parts, c.Grant)
			slices.SortFunc(parts, func(a, b consent.Standing) int { return slices.Compare(a.Grant.ID[:], b.Grant.ID[:]) })
		}
		v := &version{parts: parts, change: c}
		switch n := len(out); {
		case n > 0 && out[n-1].change.Tx == c.Tx:
			v.before = out[n-1].before
			out[n-1] = v
			continue
		case n > 0:
			v.before = out[n-1]
		}
		out = append(out, v)
	}
	return out
}

// Read returns a Consent as it stands now; one that was revoked is inactive. Error: ErrNotFound.
func (s *Service) Read(ctx context.Context, patient tx.Account, id string) (*Resource, error) {
	group, ok := parseGroup(id)
	if !ok {
		return nil, ErrNotFound
	}
	versions, chart, err := s.versions(ctx, patient, group)
	if err != nil {
		return nil, err
	}
	return s.resource(ctx, patient, chart, group, versions[len(versions)-1])
}

// History returns every version of a Consent, the newest first: each that a block made.
func (s *Service) History(ctx context.Context, patient tx.Account, id string) (out []*Resource, err error) {
	group, ok := parseGroup(id)
	if !ok {
		return nil, ErrNotFound
	}
	versions, chart, err := s.versions(ctx, patient, group)
	if err != nil {
		return nil, err
	}
	for _, version := range slices.Backward(versions) {
		r, err := s.resource(ctx, patient, chart, group, version)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// ReadVersion returns one version of a Consent. Error: ErrNotFound.
func (s *Service) ReadVersion(ctx context.Context, patient tx.Account, id, version string) (*Resource, error) {
	all, err := s.History(ctx, patient, id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(r *Resource) bool { return r.Version == version })
	if i < 0 {
		return nil, ErrNotFound
	}
	return all[i], nil
}

// A Filter restricts a search. Its zero value takes all.
type Filter struct {
	Status string // "active" or "inactive"
	Since  time.Time
}

// Search returns the patient's Consents as they are now, in the order in which they were first made.
func (s *Service) Search(ctx context.Context, patient tx.Account, f Filter) (out []*Resource, err error) {
	chart, err := s.Chain.Chart(ctx, patient)
	if err != nil {
		return nil, err
	}
	changes, err := s.Chain.Changes(ctx, patient)
	if err != nil {
		return nil, err
	}
	var groups []Group
	for _, c := range changes {
		if g := groupOf(c.ID); !c.Revoked() && !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	for _, g := range groups {
		versions := replay(changes, g, taken(patient, &chart))
		r, err := s.resource(ctx, patient, &chart, g, versions[len(versions)-1])
		if err != nil {
			return nil, err
		}
		if f.Status != "" && (f.Status == "active") != r.Active || r.Updated.Before(f.Since) {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

func (s *Service) resource(ctx context.Context, patient tx.Account, chart *Chart, group Group, v *version) (*Resource, error) {
	slots, err := s.Slots(ctx, patient)
	if err != nil {
		return nil, err
	}
	terms := v.terms()
	r := &Resource{ID: hex.EncodeToString(group[:]), Version: v.id(), Updated: time.Unix(int64(v.change.Time), 0).UTC()}
	for _, p := range v.parts {
		r.Grants = append(r.Grants, p.Grant.ID)
		r.Active = r.Active || p.Grant.NotAfter == 0 || chart.Time < p.Grant.NotAfter
	}
	paper, err := s.paper(ctx, patient, terms)
	if err != nil {
		return nil, err
	}
	o := s.options(chart, patient)
	r.Body, err = FromGrants(terms, slots, Frame{
		Patient: patient, Steward: chart.Steward, ID: r.ID, Version: r.Version, Updated: r.Updated, Active: r.Active, Paper: paper,
		Directory: o.Directory, Policies: o.Policies,
	})
	return r, err
}
