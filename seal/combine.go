package seal

import (
	"cmp"
	"crypto/subtle"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"salus/threshold"
)

// maxSubsets bounds the search for t sound shares among more, per record. It covers every
// case up to 16 custodians, and one liar among any number; beyond, share proofs find them.
const maxSubsets = 10000

// BadShare names custodians whose shares were wrong.
type BadShare struct {
	Custodians []int // 1-based, rising
}

// Error names the custodians.
func (b *BadShare) Error() string {
	return fmt.Sprintf("seal: wrong shares from custodians %v", b.Custodians)
}

// Combine makes the keys of the listed records from at least T custodians' shares and
// compares each with its commitment before it returns it. entries[k] is the manifest
// entry of the record at position list[k]; shares holds, by custodian index, what
// [OpenRelease] gave for the same list. The entries have learnt their commitments from the
// ciphertexts ([Entry.Learn]). One that has not gets no key, but a zero one that opens nothing:
// without its ciphertext nothing can be read, and the other records must not wait for it.
//
// It returns
//   - keys and nil: all shares agree;
//   - keys and a *[BadShare]: the keys are right, and the named custodians lied, whatever
//     others did, if at most f are faulty. With all n shares a single liar is always named;
//   - keys and [ErrDisputed], perhaps with a *BadShare in its chain: the keys are right,
//     somebody lied, and the shares alone do not tell who: ask for share proofs ([Attribute]);
//   - nil and [ErrTooFew] or [ErrMismatch], perhaps with a *BadShare in the chain: ask
//     more custodians, or ask for share proofs;
//   - nil and [ErrInvalid]: the call itself is wrong.
func Combine(h *Header, entries []Entry, list []int, shares map[int][]threshold.Share) ([]Key, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if err := checkList(list, int(h.Count)); err != nil {
		return nil, err
	}
	if len(entries) != len(list) {
		return nil, fmt.Errorf("%w: %d entries for %d records", ErrInvalid, len(entries), len(list))
	}
	c := &combination{header: h, shares: shares, bad: map[int]bool{}, cache: map[string]*subset{}}
	for _, i := range slices.Sorted(maps.Keys(shares)) {
		if i < 1 || i > int(h.N) {
			return nil, fmt.Errorf("%w: shares of custodian %d of %d", ErrInvalid, i, h.N)
		}
		if len(shares[i]) != len(list) || slices.ContainsFunc(shares[i], func(s threshold.Share) bool { return !s.Canonical() }) {
			c.bad[i] = true
			continue
		}
		c.usable = append(c.usable, i)
	}
	if len(c.usable) < int(h.T) {
		return nil, c.fail(ErrTooFew)
	}
	keys := make([]Key, len(list))
	for k := range entries {
		if entries[k].KeyCommit == [32]byte{} {
			continue
		}
		key, err := c.record(k, &entries[k])
		if err != nil {
			return nil, err
		}
		keys[k] = key
	}
	switch {
	case c.disputed:
		return keys, c.fail(ErrDisputed)
	case len(c.bad) > 0:
		return keys, c.blame()
	}
	return keys, nil
}

// A combination is the work on one list.
type combination struct {
	header *Header
	shares map[int][]threshold.Share
	usable []int        // custodians with well-formed shares, the most trusted first
	bad    map[int]bool // certain liars
	cache  map[string]*subset
	// disputed: somebody lied besides those in bad
	disputed bool
}

// A subset is t custodians with their weights, and the weights for every other one.
type subset struct {
	secret *threshold.Combiner
	others map[int]*threshold.Combiner
	share  []threshold.Share // scratch
}

// record finds the key of the k-th record.
func (c *combination) record(k int, e *Entry) (Key, error) {
	t := int(c.header.T)
	tried := 0
	for members := range candidates(c.usable, t) {
		if tried++; tried > maxSubsets {
			break
		}
		s, err := c.subset(members)
		if err != nil {
			return Key{}, err
		}
		key, ok, err := c.try(s, k, e)
		if err != nil {
			return Key{}, err
		}
		if ok {
			return key, c.compare(s, k)
		}
	}
	return Key{}, c.fail(ErrMismatch)
}

// subset returns the interpolation weights of t custodians, made once per call of Combine
// for the few subsets that are ever used twice.
func (c *combination) subset(members []int) (*subset, error) {
	name := fmt.Sprint(members)
	if s := c.cache[name]; s != nil {
		return s, nil
	}
	comb, err := threshold.NewCombiner(members)
	if err != nil {
		return nil, fmt.Errorf("seal: combine: %w", err)
	}
	s := &subset{secret: comb, others: map[int]*threshold.Combiner{}, share: make([]threshold.Share, len(members))}
	if len(c.cache) < 64 {
		c.cache[name] = s
	}
	return s, nil
}

// try derives a key from one subset's shares and compares its commitment in constant time.
func (c *combination) try(s *subset, k int, e *Entry) (Key, bool, error) {
	for j, i := range s.secret.Indices() {
		s.share[j] = c.shares[i][k]
	}
	secret, err := s.secret.Secret(s.share)
	if err != nil {
		return Key{}, false, fmt.Errorf("seal: combine: %w", err)
	}
	key, commit, err := recordKey(secret, c.header.BatchNonce, e.ID)
	if err != nil {
		return Key{}, false, err
	}
	return key, subtle.ConstantTimeCompare(commit[:], e.KeyCommit[:]) == 1, nil
}

// compare holds every other share of the k-th record against the sound subset that s.share
// holds. The subset gives the right secret, but that does not make each of its shares right:
// liars who know who else is asked can choose errors that cancel out, and the honest ones
// outside would look wrong. So the shares that deviate are their senders' fault only if
// there are so few of them that no other polynomial could be the dealt one.
//
// The argument: let m shares count here, at most f of them wrong, d deviating from the
// subset's polynomial P. P has the right value at 0 and at m-d custodians; the dealt one has
// it at 0 and at least m-f. They have at least (m-d)+(m-f)+2-(m+1) = m+1-d-f points in
// common. If those are t or more, P is the dealt polynomial.
func (c *combination) compare(s *subset, k int) error {
	members := s.secret.Indices()
	var deviating []int
	counted, tainted := 0, false
	for _, i := range c.usable {
		in := slices.Contains(members, i)
		if c.bad[i] {
			tainted = tainted || in
			continue
		}
		counted++
		if in {
			continue
		}
		same, err := s.agrees(i, &c.shares[i][k])
		if err != nil {
			return err
		}
		if !same {
			deviating = append(deviating, i)
		}
	}
	if len(deviating) == 0 {
		return nil
	}
	f, _, _ := threshold.Quorum(int(c.header.N))
	if f = max(0, f-len(c.bad)); tainted || counted+1-len(deviating)-f < int(c.header.T) {
		c.disputed = true
	} else {
		for _, i := range deviating {
			c.bad[i] = true
		}
	}
	// The next record tries this subset first, and those found wrong last.
	rank := func(i int) int {
		switch {
		case c.bad[i]:
			return 2
		case slices.Contains(members, i):
			return 0
		}
		return 1
	}
	slices.SortStableFunc(c.usable, func(a, b int) int { return cmp.Compare(rank(a), rank(b)) })
	return nil
}

// agrees reports whether custodian i's share lies on the polynomial of the subset's shares.
func (s *subset) agrees(i int, share *threshold.Share) (bool, error) {
	at := s.others[i]
	if at == nil {
		var err error
		if at, err = threshold.NewCombinerAt(s.secret.Indices(), i); err != nil {
			return false, fmt.Errorf("seal: combine: %w", err)
		}
		s.others[i] = at
	}
	want, err := at.Secret(s.share)
	if err != nil {
		return false, fmt.Errorf("seal: combine: %w", err)
	}
	return subtle.ConstantTimeCompare(want[:], share[:]) == 1, nil
}

func (c *combination) blame() *BadShare {
	return &BadShare{Custodians: slices.Sorted(maps.Keys(c.bad))}
}

func (c *combination) fail(kind error) error {
	if len(c.bad) > 0 {
		return fmt.Errorf("%w: %w", kind, c.blame())
	}
	return kind
}

// candidates yields sets of t members to try: the first t, then the other runs of t around
// the circle, which find a single liar, or neighbouring ones, in a few tries, then all.
func candidates(members []int, t int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		for start := range members {
			run := slices.Concat(members[start:], members[:start])[:t]
			slices.Sort(run)
			if !yield(run) {
				return
			}
			if t == len(members) {
				return
			}
		}
		subsets(members, t)(yield)
	}
}

// subsets yields the t-subsets of members in lexicographic order of position, so that the
// first ones come first.
func subsets(members []int, t int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		pos := make([]int, t)
		for j := range pos {
			pos[j] = j
		}
		for t <= len(members) {
			out := make([]int, t)
			for j, p := range pos {
				out[j] = members[p]
			}
			if !yield(out) {
				return
			}
			j := t - 1
			for j >= 0 && pos[j] == len(members)-t+j {
				j--
			}
			if j < 0 {
				return
			}
			pos[j]++
			for j++; j < t; j++ {
				pos[j] = pos[j-1] + 1
			}
		}
	}
}

// Attribute separates the dealt shares from the others by their proofs and names the
// custodians who sent a share that they cannot prove, or no proofs. It needs no quorum.
// shareRoots are the n roots; [ErrProof] means they are not the header's.
//
// When nobody is named and [Combine] still fails on T or more of these custodians, the
// author sealed shares that do not give the committed key: [ErrAuthor].
func Attribute(h *Header, shareRoots [][32]byte, list []int, shares map[int][]threshold.Share, proofs map[int]Proofs) (*BadShare, error) {
	if err := h.Validate(); err != nil {
		return nil, err
	}
	if err := checkList(list, int(h.Count)); err != nil {
		return nil, err
	}
	if len(shareRoots) != int(h.N) || ShareRootsHash(shareRoots) != h.ShareRoots {
		return nil, fmt.Errorf("%w: share roots", ErrProof)
	}
	var bad []int
	for _, i := range slices.Sorted(maps.Keys(shares)) {
		if i < 1 || i > int(h.N) {
			return nil, fmt.Errorf("%w: shares of custodian %d of %d", ErrInvalid, i, h.N)
		}
		if !proven(h, shareRoots[i-1], i, list, shares[i], proofs[i]) {
			bad = append(bad, i)
		}
	}
	if len(bad) > 0 {
		return &BadShare{Custodians: bad}, nil
	}
	return nil, nil
}

func proven(h *Header, root [32]byte, index int, list []int, shares []threshold.Share, proofs Proofs) bool {
	if len(shares) != len(list) || len(proofs) != len(list) {
		return false
	}
	for k, i := range list {
		if VerifyShare(root, h.BatchNonce, index, int(h.Count), i, shares[k], proofs[k]) != nil {
			return false
		}
	}
	return true
}

// CombineProven is [Combine] for when shares had to be proved: it drops the custodians
// that [Attribute] names and combines the others. Where proven shares contradict the
// committed keys or each other the author is at fault: the error is [ErrAuthor], and the
// keys come with it if enough of the shares agree.
func CombineProven(h *Header, entries []Entry, shareRoots [][32]byte, list []int, shares map[int][]threshold.Share, proofs map[int]Proofs) ([]Key, error) {
	bad, err := Attribute(h, shareRoots, list, shares, proofs)
	if err != nil {
		return nil, err
	}
	proved := maps.Clone(shares)
	if bad != nil {
		for _, i := range bad.Custodians {
			delete(proved, i)
		}
	}
	keys, err := Combine(h, entries, list, proved)
	var dealt *BadShare
	if errors.Is(err, ErrMismatch) || errors.Is(err, ErrDisputed) || errors.As(err, &dealt) {
		err = fmt.Errorf("%w: dealt shares contradict the committed keys", ErrAuthor)
	}
	switch {
	case bad == nil:
		return keys, err
	case err == nil:
		return keys, bad
	}
	return keys, fmt.Errorf("%w: %w", err, bad)
}
