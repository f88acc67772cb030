package summary

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"salus/fhir"
	"salus/fhir/ips"
	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/ledger"
	"salus/ledger/module/emergency"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

// Records is where summaries for emergencies go; *record.Service is one.
type Records interface {
	Known(reference string) (tx.Account, error)
	Reference(patient tx.Account) (string, error)
	Reach(ctx context.Context, patient tx.Account, labels []fhir.Label) (*record.Reach, error)
	LastSummary(patient tx.Account) (record.Summary, error)
	PutSummary(ctx context.Context, patient tx.Account, doc fhir.Resource, labels []fhir.Label, digest [32]byte) error
	NoSummary(patient tx.Account, digest [32]byte) error
}

// KeeperConfig is what a Keeper needs; every field is required but Custodian.
type KeeperConfig struct {
	Config
	Store   *store.Store
	Records Records
	View    func() *state.View
	Changed func() <-chan struct{} // closed at the next block
	// Quiet is for how long nothing of a patient changes before her summary is made anew.
	Quiet time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// A Keeper keeps, for each patient whose own resources are in the clinical store, the summary that an
// emergency opens first: a record of its own, made of what this organisation wrote and what her directive lets the
// first step tell, written anew when that changes, and only then.
type Keeper struct {
	KeeperConfig
	due  map[string]*due
	read int64     // versions of the store up to it were seen
	log  uint64    // entries of the ledger's log below it were seen
	next time.Time // when the next is to be made
}

// due is a patient whose summary may have to be made anew.
type due struct {
	seq   int64     // the first version that says so
	entry uint64    // the first log entry that says so; beyond the log if none does
	since time.Time // of the first change
	last  time.Time // of the last

	// After a failure: a clinic that writes about a patient who does not let it treat her would otherwise
	// ask her steward every few seconds for ever.
	pause  time.Duration
	resume time.Time
}

const (
	markStore, markLog = "summary", "summary.log"
	// patience is how many quiet times a patient whose record goes on changing is waited for.
	patience = 12
	// longest is the longest pause after a failure; each is twice the one before, and a change ends it.
	longest = time.Hour
	none    = ^uint64(0)
)

// Run follows the store and the ledger until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	k.due = map[string]*due{}
	var err error
	if k.read, err = k.Store.Mark(ctx, markStore); err != nil {
		return unlessEnded(ctx, err)
	}
	log, err := k.Store.Mark(ctx, markLog)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	k.log = uint64(log)
	marked := [2]int64{k.read, log}
	for ctx.Err() == nil {
		written, block := k.Store.Changed(), k.Changed()
		if err := k.follow(ctx); err != nil && ctx.Err() == nil {
			k.Log.WarnContext(ctx, "store_not_followed", "err", err)
		}
		if !k.Now().Before(k.next) {
			k.settle(ctx)
		}
		// Not at each entry of the ledger: what is seen again changes nothing.
		if m := k.marks(); len(k.due) == 0 && m[0] != marked[0] || m[0]-marked[0] > 1000 || m[1]-marked[1] > 1000 {
			if err := k.Store.Write(ctx, func(t *store.Tx) error {
				return errors.Join(t.SetMark(markStore, m[0]), t.SetMark(markLog, m[1]))
			}); err == nil {
				marked = m
			} else if ctx.Err() == nil {
				k.Log.WarnContext(ctx, "mark_not_written", "err", err)
			}
		}
		t := time.NewTimer(max(time.Millisecond, k.next.Sub(k.Now())))
		select {
		case <-written:
		case <-block:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		// What many write in a moment is followed in one go.
		select {
		case <-time.After(k.Quiet / 16):
		case <-ctx.Done():
		}
	}
	return nil
}

// unlessEnded is the error, but nil when it comes of the end that was asked for.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// marks are how far everything is settled.
func (k *Keeper) marks() [2]int64 {
	seq, log := k.read, k.log
	for _, d := range k.due {
		seq, log = min(seq, d.seq-1), min(log, d.entry)
	}
	return [2]int64{max(seq, 0), int64(log)}
}

// follow notes whose records or directives have changed.
func (k *Keeper) follow(ctx context.Context) error {
	if k.log == 0 {
		// The first time: what the log tells until now the store tells again. To read all of a log that others
		// filled for years would take minutes.
		v := k.View()
		if k.log = v.Size(); k.log > 0 {
			k.read = 0
		}
		v.Close()
	}
	for ctx.Err() == nil {
		vs, err := k.Store.After(ctx, k.read, 500)
		if err != nil {
			return err
		}
		for _, v := range vs {
			k.read = v.Seq
			if strings.HasPrefix(v.Owner, "Patient/") && relevant(v.Type) {
				k.touch(v.Owner, v.Seq, none)
			}
		}
		if len(vs) < 500 {
			break
		}
	}
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = k.entries(); err != nil {
			return err
		}
	}
	return nil
}

// entries notes whose directives have changed in the next entries of the log, and whether there are more.
func (k *Keeper) entries() (more bool, err error) {
	v := k.View()
	defer v.Close()
	k.log, more, err = ledger.ReadEntries(v, k.log, emergency.EntryDirective, func(index uint64, e *ledger.Entry) error {
		var set emergency.Set
		if err := tx.Decode(e.Payload, &set); err != nil {
			return err
		}
		if ref, err := k.Records.Reference(set.Patient); err == nil && strings.HasPrefix(ref, "Patient/") {
			k.touch(ref, k.read+1, index)
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("summary: log entry: %w", err)
	}
	return more, nil
}

// relevant reports whether a summary is made of resources of a type, or may refer to them.
func relevant(typ string) bool {
	return typ == "Patient" || slices.Contains(sources, typ) || slices.Contains([]string{"Medication", "Specimen", "Device", "Encounter"}, typ)
}

var sources = ips.Types()

func (k *Keeper) touch(ref string, seq int64, entry uint64) {
	now := k.Now()
	d := k.due[ref]
	if d == nil {
		d = &due{seq: seq, entry: entry, since: now}
		k.due[ref] = d
	}
	d.entry, d.last = min(d.entry, entry), now
	d.pause, d.resume = 0, time.Time{}
	if at := now.Add(k.Quiet); at.Before(k.next) {
		k.next = at
	}
}

// settle makes the summaries whose time has come, one after the other.
func (k *Keeper) settle(ctx context.Context) {
	k.next = k.Now().Add(time.Minute)
	failed := map[string]int{} // patients, by why
	for ref, d := range k.due {
		at := d.last.Add(k.Quiet)
		if latest := d.since.Add(patience * k.Quiet); latest.Before(at) {
			at = latest
		}
		if at.Before(d.resume) {
			at = d.resume
		}
		if k.Now().Before(at) {
			if at.Before(k.next) {
				k.next = at
			}
			continue
		}
		if err := k.keep(ctx, ref); err == nil {
			delete(k.due, ref)
			continue
		} else if ctx.Err() != nil {
			return
		} else {
			failed[err.Error()]++
		}
		d.pause = min(max(2*d.pause, k.Quiet), longest)
		d.since, d.last, d.resume = k.Now(), k.Now(), k.Now().Add(d.pause)
		if d.resume.Before(k.next) {
			k.next = d.resume
		}
	}
	for _, why := range slices.Sorted(maps.Keys(failed)) {
		level := slog.LevelWarn
		if why == errNotYet.Error() {
			level = slog.LevelInfo // every new patient's first summary does
		}
		k.Log.Log(ctx, level, "summary_waits", "patients", failed[why], "err", why)
	}
}

// errNotYet: the pump enrols her.
var errNotYet = errors.New("summary: the patient is not enrolled yet")

// keep makes a patient's summary and writes it if it says something else than the last one.
func (k *Keeper) keep(ctx context.Context, ref string) error {
	patient, err := k.Records.Known(ref)
	if errors.Is(err, record.ErrUnknownPatient) {
		return errNotYet
	}
	if err != nil {
		return err
	}
	last, err := k.Records.LastSummary(patient)
	if err != nil {
		return err
	}
	in, err := k.gather(ctx, ref)
	if err != nil {
		return err
	}
	reach, err := k.Records.Reach(ctx, patient, in.labels())
	if err != nil {
		return err
	}
	subject, told, rest := in.choose(reach)
	if subject == nil {
		digest := sha256.Sum256([]byte("nothing"))
		if last.Digest == digest || last.Number == 0 {
			return nil
		}
		// What stands there names her, and custodians refuse it by the label that she excluded, or
		// she was deleted here: it is for erasure to take away.
		return k.Records.NoSummary(patient, digest)
	}
	selected, err := ips.Select(*subject, sequence(told), ips.Options{
		Author: k.Author, Custodian: k.Custodian, Notes: []string{noteEmergency},
		Lookup: func(typ, id string) (fhir.Resource, error) { return k.refer(ctx, rest, reach, typ, id) },
	})
	if err != nil {
		return err
	}
	same, err := selected.Document("00000000-0000-4000-8000-000000000000", time.Unix(0, 0))
	if err != nil {
		return err
	}
	labels, err := in.bears(reach, same, rest)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(fmt.Appendf(same, "%q", labels))
	if last.Digest == digest && last.Number > 0 {
		return nil
	}
	now := k.Now().UTC().Truncate(time.Second)
	body, err := selected.Document(newID(), now)
	if err != nil {
		return err
	}
	if body, err = numbered(body, last.Number+1, now); err != nil {
		return err
	}
	doc, err := fhir.Parse(body)
	if err != nil {
		return err
	}
	return k.Records.PutSummary(ctx, patient, doc, labels, digest)
}

const noteEmergency = "Written for emergencies, of this organisation's records alone. What is sensitive, and what the patient excluded, is not in it."

// bears returns the labels that the summary of what is told bears. Words that only come together in it may be
// sensitive: then it bears that label too, and is no longer in the emergency set.
func (g *gathering) bears(reach *record.Reach, doc []byte, told map[string]fhir.Resource) ([]fhir.Label, error) {
	var all []fhir.Label
	for ref := range told {
		all = append(all, g.by[ref]...)
	}
	out := reach.Labels(all)
	whole, err := fhir.Parse(doc)
	if err != nil {
		return nil, err
	}
	for _, l := range fhir.LabelsOf(whole) {
		if l.Sensitive() {
			out = append(out, l)
		}
	}
	return out, nil
}

// A gathering is what this organisation has of a patient, with its labels.
type gathering struct {
	ref  string
	list []fhir.Resource
	by   map[string][]fhir.Label // of "Type/id"
}

func (k *Keeper) gather(ctx context.Context, ref string) (*gathering, error) {
	g := &gathering{ref: ref, by: map[string][]fhir.Label{}}
	q := &search.Query{Types: append(slices.Clone(sources), "Patient", "Medication", "Specimen"), Count: search.MaxCount}
	for {
		p, err := k.Store.Search(ctx, store.Search{Query: q, Sight: store.Sight{Scopes: []store.Scope{store.Own}}, Compartment: ref})
		if err != nil {
			return nil, err
		}
		for i := range p.Matches {
			r, err := fhir.Parse(rest.Present(&p.Matches[i]))
			if err != nil {
				return nil, err
			}
			if len(g.list) == maxRead {
				return nil, errMany
			}
			g.list = append(g.list, r)
			g.by[r.Type()+"/"+r.ID()] = fhir.LabelsOf(r)
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return g, nil
		}
	}
}

// labels are those kinds that the patient's slots are needed for.
func (g *gathering) labels() (out []fhir.Label) {
	out = []fhir.Label{fhir.KindAdministrative}
	for _, ls := range g.by {
		for _, l := range ls {
			if !l.Sensitive() && !slices.Contains(out, l) {
				out = append(out, l)
			}
		}
	}
	slices.Sort(out)
	return out
}

// choose returns the patient, if a summary may name her, what it may tell, and all of that by
// reference.
func (g *gathering) choose(reach *record.Reach) (subject *fhir.Resource, told []fhir.Resource, by map[string]fhir.Resource) {
	by = map[string]fhir.Resource{}
	for _, r := range g.list {
		ref := r.Type() + "/" + r.ID()
		if !reach.Tells(g.by[ref]) {
			continue
		}
		by[ref] = r
		if ref == g.ref {
			subject = &r
		} else {
			told = append(told, r)
		}
	}
	return subject, told, by
}

// refer finds what a resource refers to: among hers what may be told, and of what is in nobody's
// compartment what is of a kind that may be.
func (k *Keeper) refer(ctx context.Context, hers map[string]fhir.Resource, reach *record.Reach, typ, id string) (fhir.Resource, error) {
	if r, ok := hers[typ+"/"+id]; ok {
		return r, nil
	}
	v, err := k.Store.Read(ctx, store.Key{Type: typ, ID: id})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return fhir.Resource{}, nil
	case err != nil:
		return fhir.Resource{}, err
	case v.Owner != "":
		return fhir.Resource{}, nil
	}
	r, err := fhir.Parse(rest.Present(&v))
	if err != nil || !reach.Tells(fhir.LabelsOf(r)) {
		return fhir.Resource{}, err
	}
	return r, nil
}

func sequence(rs []fhir.Resource) iter.Seq2[fhir.Resource, error] {
	return func(yield func(fhir.Resource, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// numbered gives the document the id that all summaries for emergencies of an organisation have, so that the newest
// takes the place of the ones before it wherever it is read, and the number of this one.
func numbered(doc []byte, number int64, at time.Time) ([]byte, error) {
	var b struct {
		ResourceType string `json:"resourceType"`
		ID           string `json:"id"`
		Meta         struct {
			VersionID   string   `json:"versionId"`
			LastUpdated string   `json:"lastUpdated"`
			Profile     []string `json:"profile"`
		} `json:"meta"`
		Identifier json.RawMessage `json:"identifier"`
		Type       string          `json:"type"`
		Timestamp  string          `json:"timestamp"`
		Entry      json.RawMessage `json:"entry"`
	}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	b.ID, b.Meta.VersionID, b.Meta.LastUpdated = record.SummaryID, fmt.Sprint(number), at.Format(time.RFC3339)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("summary: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
