package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"salus/client"
	"salus/internal/durable"
	"salus/ledger/module/audit"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
	"salus/seal"
)

// An intent is what a feed's message makes the organisation say on the ledger about two pseudonyms. It is on disk
// before the message is acknowledged, and gone when the ledger has it.
type intent struct {
	Feed     string     `json:"feed"`
	Message  uint64     `json:"message"` // of the feed's journal
	Undo     bool       `json:"undo"`    // A37: end what was proposed
	Proposer string     `json:"proposer"`
	Stays    tx.Account `json:"stays"`
	Goes     tx.Account `json:"goes"`
	Basis    tx.Hash    `json:"basis"` // the same however often the message is applied

	file string
}

// intents is the queue of them, one file each, in the order in which they came. What a message says is applied
// and answered without waiting for the ledger.
type intents struct {
	dir    string
	log    *slog.Logger
	view   func() *state.View
	known  func(ref string) (tx.Account, error)
	signer func(name string) (tx.Signer, error)
	client *client.Client
	secret [32]byte // salts the commitments to the reasons

	mu    sync.Mutex
	list  []*intent
	next  uint64
	added chan struct{}
}

func (n *Node) openIntents(keys *keys) (*intents, error) {
	q := &intents{
		dir: filepath.Join(n.cfg.Data("fhir"), "merges"), log: n.log, view: n.app.View, known: n.record.Known, signer: staff{n.cfg}.Signer, client: n.client,
		secret: seal.Sum("feed-merges", keys.store[:]), added: make(chan struct{}, 1),
	}
	if err := os.MkdirAll(q.dir, 0o700); err != nil {
		return nil, fmt.Errorf("node: merges: %w", err)
	}
	files, err := os.ReadDir(q.dir) // by name: in their order
	if err != nil {
		return nil, fmt.Errorf("node: merges: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(q.dir, f.Name())
		if strings.HasSuffix(f.Name(), durable.Suffix) { // never acknowledged
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("node: merges: %w", err)
			}
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("node: merges: %w", err)
		}
		i := &intent{file: path}
		if _, err := fmt.Sscanf(f.Name(), "%016x", &q.next); err != nil || json.Unmarshal(b, i) != nil {
			return nil, fmt.Errorf("node: merges: %s is damaged", f.Name())
		}
		q.next++
		q.list = append(q.list, i)
	}
	return q, nil
}

// add keeps what a message says of two Patients, if both have pseudonyms here, and different ones. It is called
// again with the same message after a crash. When it returns nil the intent is on disk, or there is none.
func (q *intents) add(i intent, stays, goes string) error {
	var err error
	if i.Stays, err = q.known(stays); err == nil {
		i.Goes, err = q.known(goes)
	}
	if errors.Is(err, record.ErrUnknownPatient) || err == nil && i.Stays == i.Goes {
		return nil // only links
	}
	if err != nil {
		return err
	}
	i.Basis = seal.Sum("feed-merge", q.secret[:], []byte(i.Feed), binary.BigEndian.AppendUint64(nil, i.Message))
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.ContainsFunc(q.list, func(o *intent) bool { return o.Feed == i.Feed && o.Message == i.Message && o.Undo == i.Undo }) {
		return nil
	}
	i.file = filepath.Join(q.dir, fmt.Sprintf("%016x.json", q.next))
	b, err := json.Marshal(&i)
	if err != nil {
		return fmt.Errorf("node: merges: %w", err)
	}
	if err := durable.WriteFile(i.file, b); err != nil {
		return fmt.Errorf("node: merges: %w", err)
	}
	q.next++
	q.list = append(q.list, &i)
	select {
	case q.added <- struct{}{}:
	default:
	}
	return nil
}

// run says on the ledger what is in the queue, until ctx ends.
func (q *intents) run(ctx context.Context) error {
	t := time.NewTicker(feedRetry)
	defer t.Stop()
	for {
		q.drain(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-q.added:
		}
	}
}

func (q *intents) drain(ctx context.Context) {
	q.mu.Lock()
	list := slices.Clone(q.list)
	q.mu.Unlock()
	waiting := map[tx.Account]bool{}
	for _, i := range list {
		if ctx.Err() != nil {
			return
		}
		if waiting[i.Stays] || waiting[i.Goes] { // what is said of a patient is said in its order
			continue
		}
		done, err := q.say(ctx, i)
		var refused *tx.Refusal
		switch {
		case err == nil:
		case errors.As(err, &refused) && !errors.Is(err, client.ErrNoQuorum) && !errors.Is(err, errNoStaff):
			q.log.WarnContext(ctx, "feed_merge_refused", "feed", i.Feed, "message", i.Message, "undo", i.Undo, "err", err)
			done = true
		default:
			q.log.WarnContext(ctx, "feed_merge_waits", "feed", i.Feed, "message", i.Message, "undo", i.Undo, "err", err)
		}
		if done {
			done = q.remove(ctx, i)
		}
		if !done {
			waiting[i.Stays], waiting[i.Goes] = true, true
		}
	}
}

func (q *intents) remove(ctx context.Context, i *intent) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := errors.Join(os.Remove(i.file), durable.SyncDir(q.dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		q.log.ErrorContext(ctx, "feed_merge_not_removed", "feed", i.Feed, "message", i.Message, "err", err)
		return false
	}
	q.list = slices.DeleteFunc(q.list, func(o *intent) bool { return o == i })
	return true
}

var errOthersMerge = tx.Refuse(0x2890, "node: the merge was proposed by somebody else than the feed's practitioner, who takes it back")

// say says one of them, if the ledger does not have it yet; done means that nothing is left to do.
func (q *intents) say(ctx context.Context, i *intent) (done bool, err error) {
	by, err := q.signer(i.Proposer)
	if err != nil {
		return false, err
	}
	kind, msg, ready, err := q.message(i, by.Account())
	if err != nil || !ready || msg == nil {
		return ready && err == nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err = q.client.As(by).Submit(ctx, kind, msg)
	if errors.Is(err, merge.ErrLinked) && q.open(i) != nil {
		err = nil // somebody was faster
	}
	return err == nil, err
}

// message is what is left to be said; nil says that nothing is. Not ready are patients whom the ledger does not
// know yet.
func (q *intents) message(i *intent, by tx.Account) (kind tx.Kind, msg tx.Message, ready bool, err error) {
	v := q.view()
	defer v.Close()
	for _, p := range []tx.Account{i.Stays, i.Goes} {
		if _, ok := identity.Lookup(v, p); !ok {
			return "", nil, false, nil
		}
	}
	open := openCase(v, i)
	switch {
	case i.Undo && open == nil:
		return "", nil, true, nil
	case i.Undo && open.Proposer != by:
		return "", nil, true, errOthersMerge
	case i.Undo:
		return merge.KindEnd, &merge.End{Case: open.ID}, true, nil
	case open != nil:
		return "", nil, true, nil
	}
	said, err := proposed(v, i)
	if err != nil || said {
		return "", nil, err == nil, err
	}
	return merge.KindPropose, &merge.Propose{Stays: i.Stays, Goes: i.Goes, Basis: i.Basis}, true, nil
}

func (q *intents) open(i *intent) *merge.Case {
	v := q.view()
	defer v.Close()
	return openCase(v, i)
}

// openCase is the case of the two pseudonyms that is proposed or merged, whichever stays.
func openCase(r state.Reader, i *intent) *merge.Case {
	for _, c := range merge.CasesOf(r, i.Stays) {
		if c.Stays == i.Goes || c.Goes == i.Goes {
			return &c
		}
	}
	return nil
}

// proposed says whether the message's proposal was ever committed: one that was taken back since is not made again.
func proposed(v *state.View, i *intent) (bool, error) {
	links, _, err := record.Log(v, i.Stays)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(links, func(l audit.Link) bool {
		if l.Record.Action != audit.MergeProposed {
			return false
		}
		c, ok := merge.Lookup(v, l.Record.Ref)
		return ok && c.Basis == i.Basis
	}), nil
}
