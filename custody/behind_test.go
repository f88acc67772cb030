package custody

import (
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"salus/exchange"
)

// A replica that was lost and is fetched again may lack a revocation that its custodian has
// already obeyed. Until it has caught up, nothing is released or located from it, and what
// waits is not taken for damage.
func TestAReplicaBehindItsCustodianReleasesNothing(t *testing.T) {
	s := newScene(t)
	s.released(t)
	m := s.node("lab")
	v := m.app.View()
	size := v.Size()
	v.Close()
	parcel, _ := s.deal("hospital", "alice", allowedSlot)
	s.deliver("hospital", parcel)
	hh := parcel.Header.Hash()
	// The custodian has read the header's entry; its replica is not there any more.
	err := m.rows.set(rowKey(prefixWanted, hh[:]), binary.BigEndian.AppendUint64(nil, size))
	if err == nil {
		err = m.rows.set(keyCursor, binary.BigEndian.AppendUint64(nil, size+1))
	}
	if err != nil {
		t.Fatal(err)
	}
	m.reopen(filepath.Join(s.dir, m.name))

	if got := m.why(s.req); !errors.Is(got, notFresh) {
		t.Errorf("got reason %v, want %v", got, notFresh)
	}
	if reply, err := m.Release(context.Background(), s.req); reply != nil || err != error(exchange.ErrNotNow) {
		t.Errorf("got a reply %t, %v, want nothing but %v", reply != nil, err, exchange.ErrNotNow)
	}
	if box, err := m.Locate(context.Background(), &exchange.LocateRequest{Session: s.r.id, ReaderKey: s.r.public}); box != nil || err != error(exchange.ErrNotNow) {
		t.Errorf("got an answer %t, %v, want nothing but %v", box != nil, err, exchange.ErrNotNow)
	}
	m.step() // must not fail for a wanted batch that the replica does not have yet

	s.put("hospital", parcel)
	s.step()
	if _, err := m.rows.batch(hh); err != nil {
		t.Errorf("caught up, the batch is not taken in: %v", err)
	}
	s.released(t)
}
