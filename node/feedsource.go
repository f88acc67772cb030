package node

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"

	"salus/fhir"
	"salus/store"
)

// A publishedFrom is a fromfhir.Source: the organisation's own resources that the feed may publish.
type publishedFrom struct {
	p      *publisher
	read   []store.Version // what was read, each once
	labels []fhir.Label    // of all that the message tells of
}

// allowed refuses a resource with a sensitivity label that the feed does not publish.
func (s *publishedFrom) allowed(body []byte) error {
	r, err := fhir.Parse(body)
	if err != nil {
		return errPublishMessage
	}
	labels := fhir.LabelsOf(r)
	for _, l := range labels {
		if l.Sensitive() && !slices.Contains(s.p.conf.PublishLabels, string(l)) {
			return errPublishLabel
		}
	}
	s.labels = append(s.labels, labels...)
	return nil
}

// notices are the sentences that go with a message made of what was read.
func (s *publishedFrom) notices() (out []string) {
	for _, n := range fhir.NoticesFor(s.p.notices, s.labels) {
		out = append(out, n.Text)
	}
	return out
}

// Read implements fromfhir.Source.
func (s *publishedFrom) Read(ctx context.Context, reference string) ([]byte, error) {
	typ, id, _ := strings.Cut(reference, "/")
	v, err := s.p.store.Read(ctx, store.Key{Scope: store.Own, Type: typ, ID: id})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if err := s.allowed(v.Body); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(s.read, func(o store.Version) bool { return o.Key == v.Key }) {
		s.read = append(s.read, v)
	}
	return v.Body, nil
}

// about is whom and what a message made of a version tells of, for an erasure to find it.
func (s *publishedFrom) about(v *store.Version) (out []string) {
	for _, r := range append([]store.Version{*v}, s.read...) {
		for _, x := range []string{versionOf(r.Type, r.ID, r.VID), r.Owner} {
			if x != "" && !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	}
	return out
}

// control derives the control id of a message: the same of the same versions, so that what is made again after a
// crash is known. Of a report it holds its results' versions too, as these change without it.
func (s *publishedFrom) control(name, event string, v *store.Version) string {
	key := []string{fmt.Sprintf("%s %s %s/%s/%d", name, event, v.Type, v.ID, v.VID)}
	if v.Type == "DiagnosticReport" {
		for i := range s.read {
			if r := &s.read[i]; r.Type == "Observation" {
				key = append(key, fmt.Sprintf("%s/%s/%d", r.Type, r.ID, r.VID))
			}
		}
		slices.Sort(key[1:])
	}
	h := sha256.Sum256([]byte(strings.Join(key, "\n")))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h[:12])
}
