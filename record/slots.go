package record

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/seal"
)

// A SlotMap is a patient's secret map from security labels to the 64 slots of her
// consent masks. It is random per patient, so a slot number says nothing about a
// label, and most slots are dummies, so a mask says nothing about a restriction
// (EHDS Art. 8; spec/consent.md). The wallet and the steward hold it; an author is
// told only the slots of the labels it writes.
type SlotMap struct {
	// Labels and Slots run in parallel: Slots[i] is the slot of Labels[i].
	Labels []string `cbor:"1,keyasint"`
	Slots  []uint8  `cbor:"2,keyasint"`
}

// StewardLabel is the label of the slot map itself: no grant ever contains its slot.
const StewardLabel fhir.Label = "steward"

var errSlotMap = errors.New("record: slot map is damaged")

// NewSlotMap draws a map for every label that this version of the label table knows.
func NewSlotMap(random io.Reader) (*SlotMap, error) {
	labels := append([]fhir.Label{StewardLabel, EmergencyLabel}, fhir.AllLabels()...)
	perm, err := permutation(random, 64)
	if err != nil {
		return nil, err
	}
	m := &SlotMap{}
	for i, l := range labels {
		m.Labels = append(m.Labels, string(l))
		m.Slots = append(m.Slots, perm[i])
	}
	return m, m.Validate()
}

// Validate checks shape: distinct labels, distinct slots below 64 and enough dummies left for both masks.
func (m *SlotMap) Validate() error {
	if len(m.Labels) != len(m.Slots) || len(m.Slots) == 0 || len(m.Slots) > 64-consent.MaskBits {
		return errSlotMap
	}
	var seen uint64
	labels := map[string]bool{}
	for i, s := range m.Slots {
		if l := m.Labels[i]; s > 63 || seen&(1<<s) != 0 || l == "" || labels[l] {
			return errSlotMap
		}
		seen |= 1 << s
		labels[m.Labels[i]] = true
	}
	return nil
}

// Slot returns the slot of a label.
func (m *SlotMap) Slot(l fhir.Label) (uint8, bool) {
	i := slices.Index(m.Labels, string(l))
	if i < 0 {
		return 0, false
	}
	return m.Slots[i], true
}

// Mask returns the slots of all the labels; a record needs every one of them granted.
func (m *SlotMap) Mask(labels []fhir.Label) (uint64, error) {
	var mask uint64
	for _, l := range labels {
		s, ok := m.Slot(l)
		if !ok {
			return 0, fmt.Errorf("record: label %q has no slot in this patient's map", l)
		}
		mask |= 1 << s
	}
	return mask, nil
}

// MasksWithout is GrantMasks of every label but those, which are denied.
func (m *SlotMap) MasksWithout(random io.Reader, without []fhir.Label) (mask, except uint64, err error) {
	allowed := slices.DeleteFunc(fhir.AllLabels(), func(l fhir.Label) bool { return slices.Contains(without, l) })
	return m.GrantMasks(random, allowed, without)
}

// GrantMasks returns what a grant puts on the ledger to allow the allowed labels and deny
// the denied ones. Both masks are filled up with dummy slots to their constant numbers of
// bits, so that no grant looks different from another.
//
// The dummies come in an order of the patient's own, with a few of them exchanged at random
// each time: were they drawn afresh, what several grants have in common would be the real
// slots; were they always the same, every difference would be one (custody.md D.2).
func (m *SlotMap) GrantMasks(random io.Reader, allowed, denied []fhir.Label) (mask, except uint64, err error) {
	if slices.Contains(allowed, StewardLabel) {
		return 0, 0, errors.New("record: the slot map itself is never granted")
	}
	if err := m.Validate(); err != nil {
		return 0, 0, err
	}
	if mask, err = m.Mask(allowed); err != nil {
		return 0, 0, err
	}
	if except, err = m.Mask(denied); err != nil {
		return 0, 0, err
	}
	dummies, err := m.dummies()
	if err != nil {
		return 0, 0, err
	}
	for range max(1, exchanged-bits.OnesCount64(except)) {
		i, err := below(random, len(dummies))
		if err != nil {
			return 0, 0, err
		}
		j, err := below(random, len(dummies))
		if err != nil {
			return 0, 0, err
		}
		dummies[i], dummies[j] = dummies[j], dummies[i]
	}
	if mask, err = fill(mask, dummies, consent.MaskBits); err != nil {
		return 0, 0, err
	}
	slices.Reverse(dummies)
	except, err = fill(except, dummies, consent.ExceptBits)
	return mask, except, err
}

// exchanged is how many pairs of dummies change places in a grant that denies nothing. A label
// that is denied exchanges a real slot for a dummy and takes the place of one such pair.
const exchanged = 6

// dummies returns the slots that stand for no label, in this patient's own order. Who does
// not know the map cannot know the order.
func (m *SlotMap) dummies() ([]uint8, error) {
	encoded, err := tx.Encode(m)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	var real uint64
	for _, s := range m.Slots {
		real |= 1 << s
	}
	perm, err := permutation(&stream{seed: seal.Sum("dummies", encoded)}, 64)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(perm, func(s uint8) bool { return real&(1<<s) != 0 }), nil
}

// stream expands a secret seed into bytes: the hashes of seed and counter.
type stream struct {
	seed  [32]byte
	count uint64
	rest  []byte
}

// Read implements io.Reader; it never fails.
func (s *stream) Read(b []byte) (int, error) {
	if len(s.rest) == 0 {
		h := seal.Sum("stream", s.seed[:], binary.BigEndian.AppendUint64(nil, s.count))
		s.count++
		s.rest = h[:]
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// fill sets dummies until mask has n bits.
func fill(mask uint64, dummies []uint8, n int) (uint64, error) {
	for _, d := range dummies {
		if bits.OnesCount64(mask) >= n {
			break
		}
		mask |= 1 << d
	}
	if bits.OnesCount64(mask) != n {
		return 0, fmt.Errorf("record: a mask of %d bits cannot hold these labels", n)
	}
	return mask, nil
}

// permutation returns 0..n-1 in random order (Fisher-Yates with rejection sampling).
func permutation(random io.Reader, n int) ([]uint8, error) {
	out := make([]uint8, n)
	for i := range out {
		out[i] = uint8(i)
	}
	for i := n - 1; i > 0; i-- {
		j, err := below(random, i+1)
		if err != nil {
			return nil, err
		}
		out[i], out[j] = out[j], out[i]
	}
	return out, nil
}

func below(random io.Reader, n int) (int, error) {
	limit := uint32(1<<32-1) - uint32(1<<32%uint64(n))
	for {
		var b [4]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 0, fmt.Errorf("record: random numbers: %w", err)
		}
		if v := binary.BigEndian.Uint32(b[:]); v <= limit {
			return int(v % uint32(n)), nil
		}
	}
}

func newSlotMapBytes() ([]byte, *SlotMap, error) {
	m, err := NewSlotMap(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	b, err := tx.Encode(m)
	return b, m, err
}
