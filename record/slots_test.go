package record

import (
	"bytes"
	"errors"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// random is a reader of repeatable random numbers.
func random(seed uint64) *rand.ChaCha8 {
	var s [32]byte
	s[0], s[1] = byte(seed), byte(seed>>8)
	return rand.NewChaCha8(s)
}

func slotMap(t testing.TB, seed uint64) *SlotMap {
	t.Helper()
	m, err := NewSlotMap(random(seed))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// P11: whatever is wished, a grant has the same numbers of bits, allows and denies exactly the
// labels named, and never the slot map.
func TestEveryGrantLooksTheSame(t *testing.T) {
	labels := fhir.AllLabels()
	rapid.Check(t, func(t *rapid.T) {
		m, err := NewSlotMap(random(rapid.Uint64().Draw(t, "map")))
		if err != nil {
			t.Fatal(err)
		}
		var allowed, denied []fhir.Label
		for _, l := range labels {
			switch rapid.IntRange(0, 2).Draw(t, string(l)) {
			case 0:
				allowed = append(allowed, l)
			case 1:
				denied = append(denied, l)
			}
		}
		mask, except, err := m.GrantMasks(random(rapid.Uint64().Draw(t, "grant")), allowed, denied)
		if err != nil {
			t.Fatal(err)
		}
		if bits.OnesCount64(mask) != consent.MaskBits || bits.OnesCount64(except) != consent.ExceptBits {
			t.Fatalf("got %d and %d bits", bits.OnesCount64(mask), bits.OnesCount64(except))
		}
		for _, l := range labels {
			s, _ := m.Slot(l)
			if got, want := mask&(1<<s) != 0, slices.Contains(allowed, l); got != want {
				t.Fatalf("%s allowed: got %v, want %v", l, got, want)
			}
			if got, want := except&(1<<s) != 0, slices.Contains(denied, l); got != want {
				t.Fatalf("%s denied: got %v, want %v", l, got, want)
			}
		}
		if s, ok := m.Slot(StewardLabel); !ok || (mask|except)&(1<<s) != 0 {
			t.Fatal("a grant touches the slot map's own slot")
		}
	})
}

func TestSlotMapItselfIsNeverGranted(t *testing.T) {
	m := slotMap(t, 1)
	if _, _, err := m.GrantMasks(random(2), []fhir.Label{StewardLabel}, nil); err == nil {
		t.Error("the steward label was granted")
	}
	if _, _, err := m.GrantMasks(random(2), []fhir.Label{"no such label"}, nil); err == nil {
		t.Error("an unknown label was granted")
	}
}

// spread counts, over many patients, how often each of the 64 slots is set.
func spread(t *testing.T, denied []fhir.Label) (mask, except [64]int) {
	t.Helper()
	allowed := slices.DeleteFunc(slices.Clone(fhir.AllLabels()), func(l fhir.Label) bool { return slices.Contains(denied, l) })
	for p := range uint64(patients) {
		m, e, err := slotMap(t, 2*p).GrantMasks(random(2*p+1), allowed, denied)
		if err != nil {
			t.Fatal(err)
		}
		if m&e != 0 {
			t.Fatal("a slot is both allowed and denied: that would tell how many labels the grant speaks about")
		}
		for i := range 64 {
			mask[i] += int(m >> i & 1)
			except[i] += int(e >> i & 1)
		}
	}
	return mask, except
}

const patients = 4000

// chi is the chi-square distance of counts from an equal spread of bits ones.
func chi(counts [64]int, ones int) float64 {
	want, sum := float64(patients)*float64(ones)/64, 0.0
	for _, c := range counts {
		d := float64(c) - want
		sum += d * d / (want * (1 - float64(ones)/64))
	}
	return sum
}

// Whether something is denied shows neither in which slots are set nor in what two grants of
// one patient have in common.
func TestRestrictionDoesNotShow(t *testing.T) {
	const limit = 115 // 63 degrees of freedom: exceeded by chance once in ten thousand
	for _, denied := range [][]fhir.Label{nil, {"PSY"}, {"PSY", "HIV", "SUD"}} {
		mask, except := spread(t, denied)
		if m, e := chi(mask, consent.MaskBits), chi(except, consent.ExceptBits); m > limit || e > limit {
			t.Errorf("%d denied: slots are not set alike: chi-square %.0f and %.0f", len(denied), m, e)
		}
	}
	// What changes between two versions of a grant: about as many bits when a label is denied
	// as when nothing is.
	all := fhir.AllLabels()
	without := slices.DeleteFunc(slices.Clone(all), func(l fhir.Label) bool { return l == "PSY" })
	flips := func(allowed, denied []fhir.Label) (sum float64) {
		for p := range uint64(patients) {
			m := slotMap(t, 2*p)
			a, _, err := m.GrantMasks(random(3*p+1), all, nil)
			if err != nil {
				t.Fatal(err)
			}
			b, _, err := m.GrantMasks(random(3*p+2), allowed, denied)
			if err != nil {
				t.Fatal(err)
			}
			sum += float64(bits.OnesCount64(a ^ b))
		}
		return sum / patients
	}
	same, changed := flips(all, nil), flips(without, []fhir.Label{"PSY"})
	if same < 3 || changed < 3 || changed-same > 1.5 || same-changed > 1.5 {
		t.Errorf("bits that change: %.2f without a restriction, %.2f with one", same, changed)
	}
}

func TestDamagedSlotMapsAreRefused(t *testing.T) {
	good := slotMap(t, 1)
	for rule, damage := range map[string]func(m *SlotMap){
		"a slot twice":             func(m *SlotMap) { m.Slots[1] = m.Slots[0] },
		"a slot out of range":      func(m *SlotMap) { m.Slots[0] = 64 },
		"a label without a slot":   func(m *SlotMap) { m.Slots = m.Slots[1:] },
		"a slot without a label":   func(m *SlotMap) { m.Labels = m.Labels[1:] },
		"a label twice":            func(m *SlotMap) { m.Labels[1] = m.Labels[0] },
		"nothing":                  func(m *SlotMap) { m.Labels, m.Slots = nil, nil },
		"too few dummies left":     func(m *SlotMap) { m.Labels, m.Slots = many(33) },
		"a label of no characters": func(m *SlotMap) { m.Labels[0] = "" },
	} {
		m := &SlotMap{Labels: slices.Clone(good.Labels), Slots: slices.Clone(good.Slots)}
		damage(m)
		if err := m.Validate(); !errors.Is(err, errSlotMap) {
			t.Errorf("%s: got %v, want %v", rule, err, errSlotMap)
		}
		if _, _, err := m.GrantMasks(random(1), nil, nil); err == nil {
			t.Errorf("%s: makes grants", rule)
		}
		w := &Wallet{Slots: tx.MustEncode(m)}
		if _, err := w.SlotMap(); err == nil {
			t.Errorf("%s: a wallet takes it", rule)
		}
	}
	for _, b := range [][]byte{nil, {}, {0xa0}, append(tx.MustEncode(good), 0), []byte("noise")} {
		if _, err := (&Wallet{Slots: b}).SlotMap(); err == nil {
			t.Errorf("%x: a wallet takes it", b)
		}
	}
}

func many(n int) (labels []string, slots []uint8) {
	for i := range n {
		labels, slots = append(labels, string(rune('a'+i))), append(slots, uint8(i))
	}
	return labels, slots
}

func TestNoRandomNumbersNoMap(t *testing.T) {
	if _, err := NewSlotMap(bytes.NewReader(make([]byte, 10))); err == nil {
		t.Error("a map was drawn from ten bytes")
	}
	if _, _, err := slotMap(t, 1).GrantMasks(bytes.NewReader(nil), nil, nil); err == nil {
		t.Error("masks were filled from no bytes")
	}
}

// A map that decodes encodes back to the same bytes, and makes grants or is refused.
func FuzzSlotMap(f *testing.F) {
	f.Add(tx.MustEncode(slotMap(f, 1)))
	f.Add([]byte{0xa2, 0x01, 0x80, 0x02, 0x40})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := (&Wallet{Slots: b}).SlotMap()
		if err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, b) {
			t.Fatalf("decodes and encodes to %x", again)
		}
		if _, _, err := m.GrantMasks(random(1), nil, nil); err != nil {
			t.Fatal(err)
		}
	})
}
