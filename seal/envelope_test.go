package seal

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"salus/threshold"
)

// mutate returns the header with each field altered in turn, in every way that leaves it
// of the same shape.
func mutate(h Header) map[string]Header {
	out := map[string]Header{}
	typ := reflect.TypeFor[Header]()
	for i := range typ.NumField() {
		m := h
		f := reflect.ValueOf(&m).Elem().Field(i)
		switch f.Kind() {
		case reflect.Uint8, reflect.Uint16, reflect.Uint64:
			f.SetUint(f.Uint() + 1)
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Array:
			f.Index(f.Len() - 1).SetUint(f.Index(f.Len()-1).Uint() ^ 1)
		}
		out[typ.Field(i).Name] = m
	}
	return out
}

// P2.
func TestAnyHeaderMutationClosesEveryEnvelope(t *testing.T) {
	w := newWorld(t, 4, 3, 50)
	h := w.batch.Header
	mutants := mutate(h)
	if got, want := len(mutants), reflect.TypeFor[Header]().NumField(); got != want {
		t.Fatalf("mutants: got %d, want %d", got, want)
	}
	for name, m := range mutants {
		if m == h || m.Hash() == h.Hash() {
			t.Errorf("%s: got the same header hash", name)
		}
		var e *EnvelopeError
		if _, err := w.open(1, &m, w.batch.Envelopes[0]); !errors.As(err, &e) {
			t.Errorf("%s: got %v, want an EnvelopeError", name, err)
		}
		// And by itself: even a custodian that skipped every other check could not open it.
		if _, err := Unbox(w.keys[0], envelopeInfo(m.Hash(), 1, testKeyEpoch), w.batch.Envelopes[0]); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: got %v, want ErrOpen", name, err)
		}
	}
}

// A copied envelope does not open under a policy of the copier's own: the weakness of
// systems that leave the policy out of what is sealed.
func TestRogueWriteOfSomebodyElsesEnvelopeFails(t *testing.T) {
	w := newWorld(t, 4, 3, 50)
	rogue := w.batch.Header
	rogue.Author = [16]byte{0xee}
	rogue.PatientCommit = PatientCommit([16]byte{0xee}, [32]byte{1})
	_, err := w.open(1, &rogue, w.batch.Envelopes[0])
	var e *EnvelopeError
	if !errors.As(err, &e) || e.Check != CheckSealed || !errors.Is(err, ErrOpen) {
		t.Errorf("got %v, want check %v", err, CheckSealed)
	}
}

// P3, envelopes.
func TestEnvelopesDoNotSwap(t *testing.T) {
	w := newWorld(t, 4, 3, 50)
	b := w.batch
	want := func(name string, check Check, err error) {
		t.Helper()
		var e *EnvelopeError
		if !errors.As(err, &e) || e.Check != check {
			t.Errorf("%s: got %v, want check %v", name, err, check)
		}
	}
	for i := 1; i <= 4; i++ {
		for j := 1; j <= 4; j++ {
			if i == j {
				continue
			}
			_, err := w.open(i, &b.Header, b.Envelopes[j-1])
			want("envelope of another custodian", CheckSealed, err)
			_, err = OpenEnvelope(w.keys[j-1], i, testKeyEpoch, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[j-1])
			want("own envelope under another index", CheckSealed, err)
		}
	}
	_, err := OpenEnvelope(w.keys[0], 1, testKeyEpoch+1, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[0])
	want("another key epoch", CheckSealed, err)
	other, err := Seal(stream("another batch"), testChain, testAuthor, testPatient, 3, 3, w.publics, w.recs)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.open(1, &b.Header, other.Envelopes[0])
	want("envelope of another batch", CheckSealed, err)
	_, err = w.open(1, &other.Header, b.Envelopes[0])
	want("material of another batch", CheckMaterial, err)
	_, err = OpenEnvelope(w.keys[0], 0, testKeyEpoch, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[0])
	want("custodian 0", CheckHeader, err)
	_, err = OpenEnvelope(w.keys[0], 5, testKeyEpoch, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[0])
	want("custodian 5 of 4", CheckHeader, err)
	for name, roots := range map[string][][32]byte{"no roots": nil, "short": b.ShareRoots[:3], "swapped": {b.ShareRoots[1], b.ShareRoots[0], b.ShareRoots[2], b.ShareRoots[3]}} {
		_, err = OpenEnvelope(w.keys[0], 1, testKeyEpoch, &b.Header, roots, b.Commitments, b.Envelopes[0])
		want(name, CheckMaterial, err)
	}
	for name, coms := range map[string][][32]byte{"no commitments": nil, "short": b.Commitments[:2], "swapped": {b.Commitments[1], b.Commitments[0], b.Commitments[2]}} {
		_, err = OpenEnvelope(w.keys[0], 1, testKeyEpoch, &b.Header, b.ShareRoots, coms, b.Envelopes[0])
		want(name, CheckMaterial, err)
	}
}

func TestAnyAlteredEnvelopeByteIsRefused(t *testing.T) {
	w := newWorld(t, 4, 2, 50)
	env := w.batch.Envelopes[2]
	rapid.Check(t, func(t *rapid.T) {
		i, bit := rapid.IntRange(0, len(env)-1).Draw(t, "byte"), rapid.IntRange(0, 7).Draw(t, "bit")
		bad := bytes.Clone(env)
		bad[i] ^= 1 << bit
		if c, err := w.open(3, &w.batch.Header, bad); !errors.Is(err, ErrOpen) || c != nil {
			t.Fatalf("byte %d bit %d: got %v, want ErrOpen", i, bit, err)
		}
	})
	if EnvelopesHash(w.batch.Envelopes) == EnvelopesHash(w.batch.Envelopes[1:]) {
		t.Error("envelopes hash: got the same for other envelopes")
	}
}

// P5 end to end: an author that follows the format but deals wrongly. Each fault is one
// check, and each is the author's.
func TestDishonestAuthorIsNamedByTheCheckThatFails(t *testing.T) {
	w := newWorld(t, 4, 3, 50)
	for _, c := range []struct {
		name  string
		check Check
		// before alters the dealing before roots and commitments are made, after alters
		// what custodian 1 is sent.
		before func(d *threshold.Dealing)
		after  func(plain []byte) []byte
	}{
		{"too short", CheckLength, nil, func(p []byte) []byte { return p[:len(p)-1] }},
		{"too long", CheckLength, nil, func(p []byte) []byte { return append(p, 0) }},
		{"another pseudonym", CheckPatient, nil, func(p []byte) []byte { p[len(p)-1] ^= 1; return p }},
		{"another opening", CheckPatient, nil, func(p []byte) []byte { p[len(p)-17] ^= 1; return p }},
		{"no scalar", CheckScalar, nil, func(p []byte) []byte { p[63] = 0xff; return p }},
		{"share off its root", CheckShareRoot, nil, func(p []byte) []byte { p[32] ^= 1; return p }},
		{"blinding share off its root", CheckShareRoot, nil, func(p []byte) []byte { p[0] ^= 1; return p }},
		{"share off the polynomials", CheckCommitment, func(d *threshold.Dealing) { d.Shares[0][1][0] ^= 1 }, nil},
		{"commitments of nothing", CheckCommitment, func(d *threshold.Dealing) { d.Commitments[2] = [32]byte{} }, nil},
		{"commitments malformed", CheckCommitment, func(d *threshold.Dealing) { d.Commitments[2] = [32]byte{31: 0xff} }, nil},
	} {
		b, env := dishonest(t, w, c.before, c.after)
		_, err := OpenEnvelope(w.keys[0], 1, testKeyEpoch, &b.Header, b.ShareRoots, b.Commitments, env)
		var e *EnvelopeError
		if !errors.As(err, &e) || e.Check != c.check || !errors.Is(err, ErrAuthor) || !e.Complaint() {
			t.Errorf("%s: got %v, want check %v and the author's fault", c.name, err, c.check)
		}
	}
	// Control: the same construction without a fault is accepted.
	b, env := dishonest(t, w, nil, nil)
	if _, err := OpenEnvelope(w.keys[0], 1, testKeyEpoch, &b.Header, b.ShareRoots, b.Commitments, env); err != nil {
		t.Errorf("no fault: got %v, want nil", err)
	}
}

// dishonest seals like [Seal], with faults, and returns custodian 1's envelope.
func dishonest(t *testing.T, w *world, before func(*threshold.Dealing), after func([]byte) []byte) (*Batch, []byte) {
	t.Helper()
	b := &Batch{Patient: testPatient, Opening: [32]byte{5}, Header: w.batch.Header}
	b.Header.PatientCommit = PatientCommit(b.Patient, b.Opening)
	d, err := threshold.Deal(stream("dishonest"), len(w.recs), 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before(d)
	}
	if err := b.encrypt(d.Secrets, w.recs); err != nil {
		t.Fatal(err)
	}
	b.commit(d)
	var plain []byte
	for _, s := range d.Shares[0] {
		plain = append(plain, s[:]...)
	}
	plain = append(append(plain, b.Opening[:]...), b.Patient[:]...)
	if after != nil {
		plain = after(plain)
	}
	env, err := box(w.keys[0].PublicKey(), envelopeInfo(b.Header.Hash(), 1, testKeyEpoch), plain)
	if err != nil {
		t.Fatal(err)
	}
	return b, env
}

func TestHeaderValidateRefuses(t *testing.T) {
	w := newWorld(t, 4, 1, 50)
	if err := w.batch.Header.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*Header){
		"version 0":         func(h *Header) { h.Version = 0 },
		"version 2":         func(h *Header) { h.Version = 2 },
		"another suite":     func(h *Header) { h.Suite = 0x20 },
		"no chain":          func(h *Header) { h.Chain = "" },
		"no author":         func(h *Header) { h.Author = [16]byte{} },
		"no patient":        func(h *Header) { h.PatientCommit = [32]byte{} },
		"no nonce":          func(h *Header) { h.BatchNonce = [32]byte{} },
		"no manifest":       func(h *Header) { h.ManifestRoot = [32]byte{} },
		"no share roots":    func(h *Header) { h.ShareRoots = [32]byte{} },
		"no commitments":    func(h *Header) { h.VSSRoot = [32]byte{} },
		"no records":        func(h *Header) { h.Count = 0 },
		"too many records":  func(h *Header) { h.Count = MaxRecords + 1 },
		"threshold f+1":     func(h *Header) { h.T = 2 },
		"threshold n":       func(h *Header) { h.T = 4 },
		"threshold above n": func(h *Header) { h.T = 5 },
		"no custodians":     func(h *Header) { h.N, h.T = 0, 0 },
		"many custodians":   func(h *Header) { h.N, h.T = 65, 44 },
	} {
		h := w.batch.Header
		f(&h)
		if err := h.Validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
		if _, err := w.open(1, &h, w.batch.Envelopes[0]); err == nil {
			t.Errorf("%s: got an envelope opened under it", name)
		}
	}
}

func TestCheckNumbersNeverChange(t *testing.T) {
	for want, c := range map[uint8]Check{1: CheckHeader, 2: CheckMaterial, 3: CheckSealed, 4: CheckLength, 5: CheckPatient, 6: CheckScalar, 7: CheckShareRoot, 8: CheckCommitment} {
		if uint8(c) != want || c.String() == "unknown" {
			t.Errorf("check %v: got number %d, want %d", c, c, want)
		}
	}
	if got := Check(99).String(); got != "unknown" {
		t.Errorf("check 99: got %q, want unknown", got)
	}
}
