package record

import (
	"context"
	"encoding/json"

	"salus/exchange"
	"salus/fhir"
)

// An IndexEntry is what a reader learns about a record without opening it.
type IndexEntry struct {
	Located
	// Summary is the author's: type, date, title and main code. Empty when its index record
	// does not tell, or when the record is not FHIR.
	Summary fhir.Summary
}

// Index reads the index records among what Locate found and returns one entry for each clinical
// record, in the same order. Opening index records is a fetch like any other, on the ledger and
// in the patient's log. What an index says about a record that was not located, or that lies in
// other slots than the index itself, is left out: an author cannot tell by it what the session
// may not know.
// Errors: those of Read.
func (s *Session) Index(ctx context.Context, located []Located) ([]IndexEntry, error) {
	var index []Located
	out := []IndexEntry{}
	at := map[exchange.Item]int{}
	for _, l := range located {
		if !l.Clinical() {
			index = append(index, l)
			continue
		}
		at[l.Item] = len(out)
		out = append(out, IndexEntry{Located: l})
	}
	if len(index) == 0 {
		return out, nil
	}
	res, err := s.Read(ctx, index)
	if err != nil {
		return nil, err
	}
	if len(res.Records) == 0 {
		return []IndexEntry{}, nil // withdrawn since: as if there were nothing
	}
	for _, o := range res.Records {
		var lines []IndexLine
		if json.Unmarshal(o.Body, &lines) != nil {
			continue // a faulty author's: its records are still there to be opened
		}
		for _, line := range lines {
			if line.Index < 0 || line.Index >= int(o.header.Count) {
				continue
			}
			i, ok := at[exchange.Item{Header: o.Item.Header, Index: uint16(line.Index)}]
			if !ok || out[i].Entry.Slots != o.Entry.Slots {
				continue
			}
			if sum, err := fhir.ParseSummary(line.Summary); err == nil {
				out[i].Summary = sum
			}
		}
	}
	return out, nil
}
