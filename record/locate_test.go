package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
)

// Up to f custodians that lie about what is there neither hide nor add anything, and keep
// nobody from reading.
func TestLyingLocateAnswersChangeNothing(t *testing.T) {
	s := newScene(t)
	other := s.patient("Patient/other")
	s.grant(other)
	s.active(s.put(other.Patient, observation(t, "x", "of somebody else"))...)
	honest, err := s.session(s.p, s.ways()).Locate(t.Context())
	if err != nil || len(clinical(honest)) != len(s.rs) {
		t.Fatalf("got %d records, %v", len(clinical(honest)), err)
	}
	// What an honest custodian says about the other patient.
	foreign, elsewhere := &meddler{Custodians: s.ways(), liar: account("lab")}, exchange.Located{}
	foreign.locate = func(page *exchange.Located) (*exchange.Sealed, error) { elsewhere = *page; return nil, nil }
	foreign.session = s.session(other, foreign)
	if _, err := foreign.session.Locate(t.Context()); err != nil || len(elsewhere.Batches) == 0 {
		t.Fatal("no other patient's batch", err)
	}
	asked, liars := 0, []string{"hospital", "clinic", "lab", "insurer"}
	for rule, lie := range map[string]func(page *exchange.Located) (*exchange.Sealed, error){
		"nothing at all": func(page *exchange.Located) (*exchange.Sealed, error) { page.Batches = nil; return nil, nil },
		"half of it": func(page *exchange.Located) (*exchange.Sealed, error) {
			page.Batches = page.Batches[1:]
			return nil, nil
		},
		"no such session": func(*exchange.Located) (*exchange.Sealed, error) {
			return nil, exchange.ErrNotReleased
		},
		"noise":       func(*exchange.Located) (*exchange.Sealed, error) { return &exchange.Sealed{Box: []byte("noise")}, nil },
		"unreachable": func(*exchange.Located) (*exchange.Sealed, error) { return nil, client.ErrUnreachable },
		"another patient's batch": func(page *exchange.Located) (*exchange.Sealed, error) {
			page.Batches = append(page.Batches, elsewhere.Batches...)
			return nil, nil
		},
		"wrong paths": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				for j := range page.Batches[i].Entries {
					e := &page.Batches[i].Entries[j]
					e.Path = append(e.Path, [32]byte{1})
				}
			}
			return nil, nil
		},
		"wrong entries": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				for j := range page.Batches[i].Entries {
					page.Batches[i].Entries[j].Entry.Ciphertext[0] ^= 1
				}
			}
			return nil, nil
		},
		"wrong indices": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				for j := range page.Batches[i].Entries {
					page.Batches[i].Entries[j].Index += 7
				}
			}
			return nil, nil
		},
		"wrong share roots": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				page.Batches[i].ShareRoots = slices.Repeat([][32]byte{{1}}, 4)
			}
			return nil, nil
		},
		"batches that do not exist": func(page *exchange.Located) (*exchange.Sealed, error) {
			b := page.Batches[0]
			page.Batches = nil
			for i := range 500 {
				b.Header = digest(fmt.Sprint("invented ", i))
				page.Batches = append(page.Batches, b)
			}
			return nil, nil
		},
		"pages without end": func(page *exchange.Located) (*exchange.Sealed, error) {
			asked++
			page.Batches, page.Next = nil, uint64(asked)
			return nil, nil
		},
	} {
		// Whoever answers first or last: an invented entry must neither be taken nor push the true one out.
		for _, liar := range liars {
			t.Run(rule+" by "+liar, func(t *testing.T) {
				m, session := s.meddle(liar)
				m.locate = lie
				found, err := session.Locate(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(items(honest), items(found)); d != "" {
					t.Errorf("what is found (-honest +got):\n%s", d)
				}
				res, err := session.Read(t.Context(), clinical(found))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(bodies(s.rs), opened(res)); d != "" || len(res.Bad) != 0 {
					t.Errorf("blamed %v; what is read: %s", res.Bad, d)
				}
			})
		}
	}
	if asked == 0 || asked > len(liars)*maxPages {
		t.Errorf("a custodian with pages without end was asked %d times, want at most %d", asked, len(liars)*maxPages)
	}
}

// counting counts what a liar makes the reader ask its own node.
type counting struct {
	Chain
	asked int
}

func (c *counting) Anchored(ctx context.Context, h tx.Hash) (*exchange.Anchored, error) {
	c.asked++
	return c.Chain.Anchored(ctx, h)
}

func TestInventedBatchesCostLittle(t *testing.T) {
	s := newScene(t)
	c := &counting{Chain: Replica{s.app.View}}
	f := &sightings{seen: map[exchange.Item]*sighting{}, batches: map[tx.Hash]*exchange.Anchored{}}
	var lies []exchange.LocatedBatch
	for i := range 1000 {
		lies = append(lies, exchange.LocatedBatch{Header: digest(fmt.Sprint("invented ", i))})
	}
	f.add(t.Context(), c, 0, lies)
	if c.asked != maxLies || len(f.believed(0)) != 0 {
		t.Errorf("asked %d times, believed %d", c.asked, len(f.believed(0)))
	}
}

// Silent custodians are waited for only as long as they can matter.
func TestSilentCustodiansAreNotWaitedForLong(t *testing.T) {
	epoch := committee.Epoch{N: 4, T: 3, Members: []tx.Account{{1}, {2}, {3}, {4}}}
	for _, c := range []struct {
		rule   string
		h      hurry
		answer []error // what custodians answer at once; those beyond never do
		want   time.Duration
	}{
		{"t answered, and a grace", hurry{grace: graceAnswers}, []error{nil, nil, nil}, graceAnswers},
		{"t answered, no grace", hurry{settled: true}, []error{nil, nil, nil}, 0},
		{"more than f refused", hurry{settled: true}, []error{exchange.ErrNotReleased, exchange.ErrNotReleased}, 0},
		{"too few answered", hurry{grace: graceAnswers, settled: true}, []error{nil, exchange.ErrNotReleased}, time.Minute},
		{"all answered", hurry{grace: graceAnswers}, []error{nil, nil, nil, nil}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			errs := ask(ctx, epoch, c.h, func(ctx context.Context, i int, _ tx.Account) error {
				if i < len(c.answer) {
					return c.answer[i]
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if got := time.Since(start); got != c.want {
				t.Errorf("%s: took %v, want %v", c.rule, got, c.want)
			}
			for i, want := range c.answer {
				if !errors.Is(errs[i], want) {
					t.Errorf("%s: custodian %d: got %v, want %v", c.rule, i+1, errs[i], want)
				}
			}
		})
	}
}
