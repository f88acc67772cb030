package bulk

import (
	"context"
	"encoding/json"
	"fmt"

	"salus/fhir"
	"salus/store"
)

// deletedBatch is how many deletions one Bundle tells of.
const deletedBatch = 500

// deletions writes the Bundles of what was deleted after _since (Bulk Data Access 2.0, "Response -
// Complete Status", deleted). Filters cannot be held against what is deleted, and are not.
func (e *exporter) deletions(ctx context.Context) error {
	var batch []string
	for _, typ := range e.types {
		if _, conditions := e.leave.Within[typ]; conditions {
			continue
		}
		past := store.Past{Type: typ, Scopes: e.leave.Scopes, Since: e.since, Before: e.seq + 1, Count: e.PageSize, Uncounted: true}
		known := map[string]bool{} // what became of it last was seen
		for {
			if err := e.alive(ctx); err != nil {
				return err
			}
			l, _, err := e.Store.History(ctx, past)
			if err != nil {
				return err
			}
			for i := range l {
				v := &l[i]
				if known[v.ID] {
					continue
				}
				known[v.ID] = true
				if v.Method == store.Delete && v.Updated.After(e.since) && e.sees(v) {
					e.owners[v.Owner] = true
					batch = append(batch, v.Type+"/"+v.ID)
				}
				if len(batch) == deletedBatch {
					if err := e.tellDeleted(batch); err != nil {
						return err
					}
					batch = batch[:0]
				}
			}
			if len(l) < past.Count {
				break
			}
			past.Before = l[len(l)-1].Seq
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return e.tellDeleted(batch)
}

func (e *exporter) tellDeleted(refs []string) error {
	type request struct {
		Method string `json:"method"`
		URL    string `json:"url"`
	}
	type entry struct {
		Request request `json:"request"`
	}
	b := struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry"`
	}{ResourceType: "Bundle", Type: "transaction"}
	for _, ref := range refs {
		b.Entry = append(b.Entry, entry{request{"DELETE", ref}})
	}
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("bulk: deleted: %w", err)
	}
	if _, err := fhir.Parse(body); err != nil {
		return fmt.Errorf("bulk: deleted: %w", err)
	}
	if err := e.begin("deleted", "Bundle"); err != nil {
		return err
	}
	return e.write(body)
}
