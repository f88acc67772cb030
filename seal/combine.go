package seal

import (
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
// [OpenRelease] gave for the same list.
//
// The more shares, the more is known: with more than T, every wrong share is found and
// its custodian named exactly, while at least T are right. So Combine returns
//   - keys and nil: all shares agree;
//   - keys and a *[BadShare]: the keys are right, the named custodians are not;
//   - nil and an error that is [ErrTooFew] or [ErrMismatch]: ask more custodians, or
//     ask all for share proofs and call [Attribute]; a *BadShare in the error's chain
//     names those already known;
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
		key, err := c.record(k, &entries[k])
		if err != nil {
			return nil, err
		}
		keys[k] = key
	}
	if len(c.bad) > 0 {
		return keys, c.blame()
	}
	return keys, nil
}

// A combination is the work on one list.
type combination struct {
	header *Header
	shares map[int][]threshold.Share
	usable []int // custodians with well-formed shares; those found wrong are moved to the end
	bad    map[int]bool
	cache  map[string]*subset
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
// holds, and moves custodians found wrong to the end, so that the next record tries the
// honest ones first.
func (c *combination) compare(s *subset, k int) error {
	members, found := s.secret.Indices(), false
	for _, i := range c.usable {
		if slices.Contains(members, i) {
			continue
		}
		at := s.others[i]
		if at == nil {
			var err error
			if at, err = threshold.NewCombinerAt(members, i); err != nil {
				return fmt.Errorf("seal: combine: %w", err)
			}
			s.others[i] = at
		}
		want, err := at.Secret(s.share)
		if err != nil {
			return fmt.Errorf("seal: combine: %w", err)
		}
		if subtle.ConstantTimeCompare(want[:], c.shares[i][k][:]) != 1 && !c.bad[i] {
			c.bad[i], found = true, true
		}
	}
	if found {
		slices.SortStableFunc(c.usable, func(a, b int) int {
			switch {
			case c.bad[a] == c.bad[b]:
				return 0
			case c.bad[b]:
				return -1
			}
			return 1
		})
	}
	return nil
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
	if errors.Is(err, ErrMismatch) || errors.As(err, &dealt) {
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
