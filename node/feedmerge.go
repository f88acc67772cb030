package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"salus/hl7/feed"
	"salus/hl7/tofhir"
	"salus/store"
)

// The types of Patient.link that a merge makes (R4 link-type).
const (
	linkReplacedBy = "replaced-by"
	linkReplaces   = "replaces"
)

// A link is Patient.link as far as it is read here.
type link struct {
	Other struct {
		Reference string `json:"reference"`
	} `json:"other"`
	Type string `json:"type"`
}

func linkTo(ref, typ string) (l link) {
	l.Other.Reference, l.Type = ref, typ
	return l
}

// linked reports whether a Patient links to another in that way; ref "" is anybody.
func linked(body []byte, ref, typ string) bool {
	var p struct{ Link []link }
	return json.Unmarshal(body, &p) == nil && slices.ContainsFunc(p.Link, func(l link) bool {
		return l.Type == typ && (ref == "" || l.Other.Reference == ref)
	})
}

// Merge implements feed.Merger: both Patients stay, with all that is theirs, and link to each other;
// the replaced one is no longer active. If the feed has a proposer, a merge of their pseudonyms is proposed
// on the ledger (feedpropose.go); it is a person who approves it.
func (w *feedWriter) Merge(ctx context.Context, l feed.Link) error {
	return w.link(ctx, l, false)
}

// Unmerge implements feed.Merger: the links go, and the one that was replaced is as active as it was. What the
// feed's proposer proposed is ended.
func (w *feedWriter) Unmerge(ctx context.Context, l feed.Link) error {
	return w.link(ctx, l, true)
}

var errFeedMerge = errors.New("node: a merge without its message")

func (w *feedWriter) link(ctx context.Context, l feed.Link, undo bool) error {
	w.mu.Lock()
	t := w.told[l.Message]
	w.mu.Unlock()
	if t == nil || t.merge == nil || t.merge.Undo != undo {
		return errFeedMerge
	}
	plan := w.planMerge
	if undo {
		plan = w.planUnmerge
	}
	if err := w.transact(ctx, l.Message, func() ([]change, error) { return plan(ctx, t.merge) }); err != nil {
		return err
	}
	replaced, err := w.find(ctx, "Patient", t.merge.Replaced, t.merge)
	if err != nil || replaced == nil {
		return err
	}
	if w.proposer != "" && !stub(replaced) {
		survivor, err := w.find(ctx, "Patient", t.merge.Survivor, nil)
		if err != nil {
			return err
		}
		if survivor != nil {
			said := intent{Feed: w.name, Message: l.Message, Undo: undo, Proposer: w.proposer}
			if err := w.intents.add(said, "Patient/"+survivor.ID, "Patient/"+replaced.ID); err != nil {
				return err
			}
		}
	}
	if ref := "Patient/" + replaced.ID; !slices.Contains(t.patients, ref) {
		t.patients = append(t.patients, ref)
	}
	return nil
}

// allowed refuses a merge that will be refused before anything of its message is written. A survivor
// who is not here yet will be when it is.
func (w *feedWriter) allowed(ctx context.Context, m *tofhir.Merge) error {
	if m == nil || m.Undo {
		return nil
	}
	_, err := w.planMerge(ctx, m)
	if errors.Is(err, errFeedMergeNone) {
		return nil
	}
	return err
}

// planMerge is what is to be written so that one Patient is replaced by the other.
func (w *feedWriter) planMerge(ctx context.Context, m *tofhir.Merge) ([]change, error) {
	survivor, err := w.find(ctx, "Patient", m.Survivor, nil)
	if err != nil {
		return nil, err
	}
	if survivor == nil {
		return nil, errFeedMergeNone
	}
	replaced, err := w.find(ctx, "Patient", m.Replaced, m)
	if err != nil {
		return nil, err
	}
	to := "Patient/" + survivor.ID
	if replaced == nil {
		// Never heard of here. What comes late under its number must still find that it was merged.
		return w.planStub(survivor, m)
	}
	from := "Patient/" + replaced.ID
	switch {
	case survivor.ID == replaced.ID: // one Patient bears both numbers
		return nil, nil
	case linked(survivor.Body, from, linkReplacedBy):
		return nil, errFeedMergeCycle
	case linked(replaced.Body, "", linkReplacedBy) && !linked(replaced.Body, to, linkReplacedBy):
		return nil, errFeedMergeOther
	}
	a, err := w.relink(survivor, linkTo(from, linkReplaces), nil)
	if err != nil {
		return nil, err
	}
	b, err := w.relink(replaced, linkTo(to, linkReplacedBy), func(o object) { o["active"] = json.RawMessage("false") })
	if err != nil {
		return nil, err
	}
	return present(a, b), nil
}

func present(list ...*change) (out []change) {
	for _, c := range list {
		if c != nil {
			out = append(out, *c)
		}
	}
	return out
}

// stubURL names the Patient that a merge makes within its transaction.
const stubURL = "urn:uuid:5b1f1f2c-9f0e-4d5c-8a53-6e7d5d5f7d10"

// stub says whether a Patient is one that planStub made, of whom nothing else came since: replaced from the
// first version on. She may have a pseudonym by the time it is asked, and is nobody all the same.
func stub(v *store.Version) bool { return v.VID == 1 && linked(v.Body, "", linkReplacedBy) }

func (w *feedWriter) planStub(survivor *store.Version, m *tofhir.Merge) ([]change, error) {
	body, err := json.Marshal(map[string]any{
		"resourceType": "Patient", "active": false, "link": []link{linkTo("Patient/"+survivor.ID, linkReplacedBy)},
		"identifier": []map[string]string{{"system": m.Replaced.System, "value": m.Replaced.Value}},
	})
	if err != nil {
		return nil, fmt.Errorf("node: merge: %w", err)
	}
	if body, err = w.labelled(body, "Patient"); err != nil {
		return nil, err
	}
	a, err := w.relink(survivor, linkTo(stubURL, linkReplaces), nil)
	if err != nil {
		return nil, err
	}
	return present(a, &change{FullURL: stubURL, Resource: body, Request: request{Method: http.MethodPost, URL: "Patient"}}), nil
}

// relink is a Patient with one link more, and changed otherwise by and; nil if nothing is new.
func (w *feedWriter) relink(v *store.Version, l link, and func(object)) (*change, error) {
	return w.linking(v, and, func(links []json.RawMessage) ([]json.RawMessage, error) {
		if linked(v.Body, l.Other.Reference, l.Type) {
			return links, nil
		}
		raw, err := json.Marshal(l)
		return append(links, raw), err
	})
}

// unlink is a Patient without a link, and changed otherwise by and; nil if nothing is new.
func (w *feedWriter) unlink(v *store.Version, l link, and func(object)) (*change, error) {
	return w.linking(v, and, func(links []json.RawMessage) ([]json.RawMessage, error) {
		return slices.DeleteFunc(links, func(raw json.RawMessage) bool {
			var x link
			return json.Unmarshal(raw, &x) == nil && x == l
		}), nil
	})
}

// linking is a Patient whose links were changed by do, and who was changed otherwise by and.
func (w *feedWriter) linking(v *store.Version, and func(object), do func([]json.RawMessage) ([]json.RawMessage, error)) (*change, error) {
	body, err := edited(v.Body, func(o object) error {
		var links []json.RawMessage
		if o["link"] != nil && json.Unmarshal(o["link"], &links) != nil {
			return errFeedStored
		}
		links, err := do(links)
		if err != nil {
			return err
		}
		delete(o, "link")
		if and != nil {
			and(o)
		}
		if len(links) == 0 {
			return nil
		}
		return set(o, "link", links)
	})
	if err != nil {
		return nil, err
	}
	return w.update(v, body, "Patient")
}

// planUnmerge is what is to be written so that two Patients are two again.
func (w *feedWriter) planUnmerge(ctx context.Context, m *tofhir.Merge) ([]change, error) {
	survivor, err := w.find(ctx, "Patient", m.Survivor, nil)
	if err != nil {
		return nil, err
	}
	replaced, err := w.find(ctx, "Patient", m.Replaced, m)
	if err != nil || survivor == nil || replaced == nil || survivor.ID == replaced.ID {
		return nil, err
	}
	a, err := w.unlink(survivor, linkTo("Patient/"+replaced.ID, linkReplaces), nil)
	if err != nil {
		return nil, err
	}
	l := linkTo("Patient/"+survivor.ID, linkReplacedBy)
	if !linked(replaced.Body, l.Other.Reference, l.Type) {
		return present(a), nil
	}
	active, err := w.activeBefore(ctx, replaced, l)
	if err != nil {
		return nil, err
	}
	b, err := w.unlink(replaced, l, func(o object) {
		delete(o, "active")
		if active != nil {
			o["active"] = active
		}
	})
	if err != nil {
		return nil, err
	}
	return present(a, b), nil
}

// activeBefore is Patient.active in the last version without a link; nil if that said nothing, or if
// there is none because the merge made the Patient.
func (w *feedWriter) activeBefore(ctx context.Context, v *store.Version, l link) (json.RawMessage, error) {
	for vid := v.VID - 1; vid > 0; vid-- {
		old, err := w.store.ReadVersion(ctx, v.Key, vid)
		if errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if linked(old.Body, l.Other.Reference, l.Type) {
			continue
		}
		var o object
		if err := json.Unmarshal(old.Body, &o); err != nil {
			return nil, errFeedStored
		}
		return o["active"], nil
	}
	return nil, nil //nolint:nilnil // it said nothing
}
