package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"salus/fhir"
	"salus/ledger/module/anchor"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

// onLedger reports whether a pseudonym is enrolled.
func (s *Service) onLedger(patient tx.Account) bool {
	v := s.View()
	defer v.Close()
	_, ok := identity.Lookup(v, patient)
	return ok
}

// anchored is one batch of the ledger with the versions of one kind that it holds.
type anchored struct {
	batch  tx.Hash
	index  uint16 // of the first
	method store.Method
}

// writeProvenance says in the store where versions are on the ledger: a Provenance for each batch,
// whose entity is the batch and whose targets are the versions. Written again it changes nothing.
func (s *Service) writeProvenance(ctx context.Context, vs []store.Version, ids []record.ID, first []int) error {
	places := map[anchored][]string{}
	var order []anchored
	at := map[struct {
		batch  tx.Hash
		method store.Method
	}]anchored{}
	for i := range vs {
		if first[i] == len(ids) || i+1 < len(vs) && first[i] == first[i+1] {
			continue // nobody had read what was deleted
		}
		o, err := s.Record.Record(ids[first[i]])
		if err != nil {
			return err
		}
		k := struct {
			batch  tx.Hash
			method store.Method
		}{o.Batch, vs[i].Method}
		a, ok := at[k]
		if !ok {
			a = anchored{o.Batch, o.Index, vs[i].Method}
			at[k] = a
			order = append(order, a)
		}
		places[a] = append(places[a], versionRef(vs[i].Type, vs[i].ID, vs[i].VID))
	}
	puts := make([]store.Put, 0, len(order))
	for _, a := range order {
		put, err := s.provenance(s.Self, vs[0].Owner, a, places[a])
		if err != nil {
			return err
		}
		puts = append(puts, put)
	}
	return s.Store.Write(ctx, func(t *store.Tx) error {
		for _, p := range puts {
			if _, err := t.Read(p.Key); err == nil {
				continue
			}
			if _, err := t.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
}

var errNoBatch = errors.New("chart: a batch that is active is not on this replica")

// provenance is the Provenance of the versions that a batch holds.
func (s *Service) provenance(author tx.Account, owner string, a anchored, targets []string) (store.Put, error) {
	v := s.View()
	b, ok := anchor.Lookup(v, a.batch)
	v.Close()
	if !ok {
		return store.Put{}, errNoBatch
	}
	p := provenanceOf(author, a.method, fmt.Sprintf("anchored-%s-%d", a.batch.String()[:32], a.index), time.Unix(int64(b.Time), 0), targets...)
	p.Entity = []entity{{"source", reference{Identifier: &named{systemRecord, a.batch.String()}}}}
	body, err := json.Marshal(p)
	if err != nil {
		return store.Put{}, fmt.Errorf("chart: provenance: %w", err)
	}
	r, err := fhir.Parse(body)
	if err != nil {
		return store.Put{}, errVersion
	}
	entries, err := s.Index.Entries(r)
	if err != nil {
		return store.Put{}, err
	}
	return store.Put{Key: store.Key{Type: "Provenance", ID: p.ID}, Body: body, Owner: owner, Record: derived, Entries: entries, Expect: store.Any}, nil
}

// ErrNoReceipt: a Provenance that this server did not write says nothing about the ledger.
var ErrNoReceipt = errors.New("chart: this Provenance has no receipt: it was not written by the server")

// LogIndex finds the ledger's log entry that anchored what a Provenance is about: what a receipt
// proves. Error: ErrNoReceipt.
func (s *Service) LogIndex(v *store.Version) (uint64, error) {
	var p provenance
	if v.Record != derived || json.Unmarshal(v.Body, &p) != nil || len(p.Entity) != 1 || p.Entity[0].What.Identifier == nil {
		return 0, ErrNoReceipt
	}
	batch, err := tx.ParseHash(p.Entity[0].What.Identifier.Value)
	if err != nil {
		return 0, ErrNoReceipt
	}
	view := s.View()
	defer view.Close()
	b, ok := anchor.Lookup(view, batch)
	if !ok {
		return 0, ErrNoReceipt
	}
	return b.Index, nil
}

// splitVersion takes a version reference apart.
func splitVersion(ref string) (typ, id string, vid int64, ok bool) {
	m := relative.FindStringSubmatch(ref)
	if m == nil {
		return "", "", 0, false
	}
	vid, err := strconv.ParseInt(strings.TrimPrefix(m[3], "/_history/"), 10, 64)
	return m[1], m[2], vid, err == nil && vid > 0 && vid <= maxVersion
}
