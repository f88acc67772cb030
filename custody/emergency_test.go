package custody

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"salus/ledger/module/access"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/seal"
)

// The slots of an emergency: in its set, added by the second step, excluded from
// both although both masks have it.
const (
	firstSlot  = uint64(1) << 3
	secondSlot = uint64(1) << 40
	neverSlot  = uint64(1) << 5
)

func (w *world) direct(version uint64, change ...func(*emergency.SetDirective)) {
	w.Helper()
	m := &emergency.SetDirective{
		Patient: account("alice"), Version: version, Set: 0x00000000ffffffff, More: 0xffffffff00000000&^(1<<63) | neverSlot,
		Except: 0xfffffe0000000000 | neverSlot,
	}
	for _, f := range change {
		f(m)
	}
	w.must("alice", emergency.KindDirective, m)
}

// declare opens the session of an emergency.
func (w *world) declare(by string, seconds uint64) *reading {
	w.Helper()
	seed, pub, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	sk, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		w.Fatal(err)
	}
	id := w.must(by, access.KindEmergency, &access.Emergency{Patient: account("alice"), Reason: emergency.OVRER, ReaderKey: sha256.Sum256(pub), TTL: seconds})
	return &reading{w: w, by: by, id: id, private: sk, public: pub}
}

// newEmergency is a release that succeeds: the record of the emergency set, to the
// emergency doctor, with no grant at all.
func newEmergency(t *testing.T) *scene {
	w := newWorld(t)
	const both = identity.PrivRead | identity.PrivEmergency
	w.register("clinic", "emergency doctor", both)
	w.register("clinic", "second doctor", both)
	s := &scene{world: w, batch: w.batch("alice", firstSlot, secondSlot, neverSlot, firstSlot|secondSlot)}
	w.direct(1)
	s.r = w.declare("emergency doctor", 600)
	s.req = s.r.commit(items(s.batch, 0)...)
	return s
}

func TestAnEmergencyReadsTheSetFirstAndMoreAfterTheSecondStep(t *testing.T) {
	s := newEmergency(t)
	s.released(t)
	got, err := s.r.read(s.batch, s.req, s.nodes[0], s.nodes[1], s.nodes[2])
	if err != nil || len(got) != 1 || len(bytes.TrimSpace(got[0])) == 0 {
		t.Fatalf("got %q, %v", got, err)
	}
	for _, i := range []int{1, 2, 3} { // more, excluded, in the set and beyond it
		s.req = s.r.commit(items(s.batch, i)...)
		s.refused(t, notAllowed)
	}
	s.must("emergency doctor", access.KindWiden, &access.Widen{Session: s.r.id})
	s.req = s.r.commit(items(s.batch, 0, 1, 3)...)
	s.released(t)
	s.req = s.r.commit(items(s.batch, 2)...)
	s.refused(t, notAllowed)
}

func TestAnEmergencyLocatesOnlyWhatItMayOpen(t *testing.T) {
	s := newEmergency(t)
	slots := func() (n int) {
		for _, b := range s.r.locate(s.nodes[0]) {
			n += len(b.Entries)
		}
		return n
	}
	if got := slots(); got != 1 {
		t.Errorf("the first step locates %d records, want 1", got)
	}
	s.must("emergency doctor", access.KindWiden, &access.Widen{Session: s.r.id})
	if got := slots(); got != 3 {
		t.Errorf("the second step locates %d records, want 3", got)
	}
}

func TestNothingIsReleasedToAnEmergency(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*scene)
		want   reason
	}{
		{"after its end by block time", func(s *scene) { s.advance(600 * time.Second); s.block() }, noSession},
		{"after its end by the clock, on a stalled chain", func(s *scene) {
			s.r = s.declare("second doctor", 5)
			s.req = s.r.commit(items(s.batch, 0)...)
			s.advance(10 * time.Second)
		}, noSession},
		{"after the patient closed it", func(s *scene) { s.must("alice", access.KindClose, &access.Close{Session: s.r.id}) }, noSession},
		{"after she excluded the record", func(s *scene) {
			s.direct(2, func(m *emergency.SetDirective) { m.Except = m.Except&^(1<<63) | firstSlot })
		}, notAllowed},
		{"of a practitioner who lost the privilege", func(s *scene) {
			s.must("clinic", identity.KindUpdate, &identity.Update{Account: account("emergency doctor"), Privileges: identity.PrivRead, Active: true})
		}, notAllowed},
		{"of a practitioner who was suspended by her member", func(s *scene) {
			s.must("clinic", identity.KindUpdate, &identity.Update{Account: account("emergency doctor"), Privileges: identity.PrivRead | identity.PrivEmergency})
		}, notAllowed},
		{"of a practitioner whose earlier attestation became overdue", func(s *scene) {
			s.advance(24*time.Hour - 60*time.Second)
			s.block()
			s.r = s.declare("emergency doctor", 600)
			s.req = s.r.commit(items(s.batch, 0)...)
			s.released(s.world.TB.(*testing.T))
			s.advance(61 * time.Second)
			s.block()
		}, notAllowed},
		{"of another patient's record", func(s *scene) { s.req = s.r.commit(items(s.world.batch("bob", firstSlot), 0)...) }, otherPatient},
		{"for treatment, whatever its directive says", func(s *scene) {
			s.r = s.session("emergency doctor", "alice")
			s.req = s.r.commit(items(s.batch, 0)...)
		}, notAllowed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newEmergency(t)
			s.released(t)
			c.change(s)
			s.refused(t, c.want)
		})
	}
}

func TestAnExtensionKeepsReleasing(t *testing.T) {
	s := newEmergency(t)
	s.must("second doctor", access.KindExtend, &access.Extend{Session: s.r.id})
	s.advance(900 * time.Second)
	s.block()
	s.released(t)
	s.advance(300 * time.Second)
	s.block()
	s.refused(t, noSession)
}
