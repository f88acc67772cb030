package sim

import (
	"strings"
	"testing"
	"time"

	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/consent"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// mutants are faults that the simulation must find. finds is part of the sentence by which.
var mutants = map[string]mutant{
	"": {},
	"receipt-after-reply": {
		what:  "a custodian replies before its receipt is on disk",
		finds: "before receipt",
		disk:  func(name string) bool { return strings.HasSuffix(name, "receipts.wal") },
	},
	"ledger-not-durable": {
		what:  "a replica says that a block is committed before it is on disk",
		finds: "is back at",
		disk:  func(name string) bool { return strings.HasPrefix(name, "ledger/") && strings.HasSuffix(name, ".log") },
	},
	"stale-view": {
		what:  "a custodian decides from what its replica was three blocks ago",
		finds: "released",
		custody: func(n *node, c *custodyConfig) {
			c.Ledger = &staleLedger{n.app, n}
		},
	},
	"frozen-lease": {
		what:  "a custodian takes the last block's time for its clock, so that a stalled replica never gets stale",
		finds: "released", // from a stale replica, or to a session whose end it does not see
		custody: func(n *node, c *custodyConfig) {
			c.Now = func() time.Time { return time.Unix(int64(n.app.Head().Time), 0) }
		},
	},
	"no-session-check": {
		what:  "custodians release without asking the ledger",
		finds: "released",
		fake:  true,
	},
	"small-quorum": {
		what:   "f+1 votes decide",
		finds:  "fork",
		quorum: func(w *world) int { return w.faulty() + 1 },
	},
	"revocation-undone":        {what: "a revoked grant comes back at the end of its block", finds: "consent", modules: revocationUndone},
	"one-time-for-ever":        {what: "the use of a one-time grant is given back", finds: "consent", modules: oneTimeForEver},
	"revocation-undone, blind": {what: "the same, seen by nobody but clients", finds: "not linearizable", modules: revocationUndone, blind: true},
	"one-time-for-ever, blind": {what: "the same, seen by nobody but clients", finds: "not linearizable", modules: oneTimeForEver, blind: true},
	"early-active": {
		what:  "a batch counts as active with its first receipt",
		finds: "active",
		modules: undone([]byte{anchor.Prefix, 0x01}, func(c *ledger.Context, key, _ []byte) {
			var b anchor.Batch
			raw, _ := c.State.Get(key)
			if tx.Decode(raw, &b) == nil && b.Active == 0 && b.Receipts != 0 {
				b.Active = uint64(c.Height)
				c.State.Set(key, tx.MustEncode(b))
			}
		}),
	},
	"nonces-forgotten": {
		what:    "the replay windows are emptied after each block",
		finds:   "was already in block",
		modules: undone([]byte{ledger.Prefix, 0x01}, func(c *ledger.Context, key, _ []byte) { c.State.Delete(key) }),
	},
	"split-execution": {
		what:  "one member's state machine comes to something else",
		finds: "another app hash",
		modules: func(n *node, mods []ledger.Module) []ledger.Module {
			return append(append([]ledger.Module(nil), mods...), ledger.Module{
				Name: "mutant", Prefix: 0x7e,
				EndBlock: func(c *ledger.Context) error {
					if c.Height == 12 {
						c.State.Set([]byte{0x7e, 1}, []byte{byte(n.i)})
					}
					return nil
				},
			})
		},
	},
}

var (
	revocationUndone = undone([]byte{consent.Prefix, 0x01}, func(c *ledger.Context, key, before []byte) {
		if _, there := c.State.Get(key); !there {
			c.State.Set(key, before)
		}
	})
	oneTimeForEver = undone([]byte{consent.Prefix, 0x01}, func(c *ledger.Context, key, before []byte) {
		if _, there := c.State.Get(key); there {
			c.State.Set(key, before)
		}
	})
)

// A staleLedger shows a custodian the state of three blocks ago under the head of now.
type staleLedger struct {
	*ledger.App
	n *node
}

func (l *staleLedger) View() *state.View {
	if v, ok := l.n.store.At(l.App.Head().Height - 3); ok {
		return v
	}
	return l.App.View()
}

func (l *staleLedger) Hold(f func(*state.View, ledger.Head) error) error {
	return l.App.Hold(func(_ *state.View, h ledger.Head) error {
		v := l.View()
		defer v.Close()
		return f(v, h)
	})
}

// TestMutantsAreFound puts each fault into the system and expects the simulation to find it
// within a few seeds, and to find it for the right reason.
func TestMutantsAreFound(t *testing.T) {
	for name, m := range mutants {
		if name == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 12; seed++ {
				p := plan{Seed: seed, Members: 4, Ops: 24, Mutant: name}
				out := run(t, p, nil)
				if out.Violation == "" {
					continue
				}
				first, _, _ := strings.Cut(out.Violation, "\n")
				if !strings.Contains(out.Violation, m.finds) {
					t.Errorf("seed %d found %q, want something about %q", seed, first, m.finds)
				}
				t.Logf("%s: seed %d: %s", m.what, seed, first)
				return
			}
			t.Errorf("%s: no seed found it", m.what)
		})
	}
}
