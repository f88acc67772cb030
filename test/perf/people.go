package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math/bits"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// grantsEach is how many grants the patients of each group have.
var grantsEach = []int{1, 10, 100}

const (
	doctorsEach  = 4  // practitioners of each member
	patientsEach = 64 // patients of each group
)

// People are those who ask and those who are asked about.
type people struct {
	doctors  [][]tx.Signer        // by member
	patients map[int][]tx.Account // by their number of grants
	other    tx.Account           // a practitioner who asks for nothing
}

// enlist registers practitioners of every member, enrols patients and puts their grants on the
// ledger. The last of a patient's grants is for any clinical practitioner, the others are for
// somebody who asks for nothing.
func (s *seed) enlist(ctx context.Context) error {
	members, err := s.members()
	if err != nil {
		return err
	}
	s.people = &people{patients: map[int][]tx.Account{}}
	var txs [][]byte
	add := func(kind tx.Kind, m tx.Message, as tx.Signer) error {
		raw, err := s.sign(kind, m, as)
		txs = append(txs, raw)
		return err
	}
	for _, m := range members {
		var mine []tx.Signer
		for range doctorsEach + 1 {
			who, err := newSigner()
			if err != nil {
				return err
			}
			mine = append(mine, who)
			if err := add(identity.KindRegister, &identity.Register{
				Account: who.Account(), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{who.Public()},
				Roles: []string{"sct:309343006"}, Privileges: identity.PrivRead,
			}, m); err != nil {
				return err
			}
		}
		s.people.doctors, s.people.other = append(s.people.doctors, mine[:doctorsEach]), mine[doctorsEach].Account()
	}
	var patients []tx.Signer
	for _, grants := range grantsEach {
		for i := range patientsEach {
			who, err := newSigner()
			if err != nil {
				return err
			}
			patients = append(patients, who)
			s.people.patients[grants] = append(s.people.patients[grants], who.Account())
			if err := add(identity.KindEnrol, &identity.Enrol{Patient: who.Account(), Keys: []tx.PublicKey{who.Public()}}, members[i%len(members)]); err != nil {
				return err
			}
		}
	}
	if err := s.block(ctx, txs); err != nil {
		return err
	}
	txs = nil // keys are live from the next block on
	for i, who := range patients {
		for j := range grantsEach[i/patientsEach] {
			g, err := s.people.grant(j == grantsEach[i/patientsEach]-1)
			if err != nil {
				return err
			}
			if err := add(consent.KindGrant, &consent.Give{Patient: who.Account(), Grant: g}, who); err != nil {
				return err
			}
		}
	}
	return s.block(ctx, txs)
}

// newSigner is an account with a key, both random.
func newSigner() (tx.Signer, error) {
	var account tx.Account
	if _, err := rand.Read(account[:]); err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return tx.NewEd25519Signer(account, key), err
}

// grant is for treatment, by any clinical practitioner or by the other one. Its masks are
// random, of as many bits as the rules want.
func (p *people) grant(matches bool) (consent.Grant, error) {
	g := consent.Grant{Version: 1, Purposes: consent.PurposesOf(consent.TREAT), Grantee: consent.Grantee{Kind: consent.AnyClinical}}
	var r [32]byte // id, masks
	if _, err := rand.Read(r[:]); err != nil {
		return g, err
	}
	copy(g.ID[:], r[:16])
	if !matches {
		g.Grantee = consent.Grantee{Kind: consent.OnePractitioner, Account: p.other}
	}
	g.Mask = withBits(binary.BigEndian.Uint64(r[16:]), consent.MaskBits)
	g.Except = withBits(binary.BigEndian.Uint64(r[24:]), consent.ExceptBits)
	return g, nil
}

// withBits sets or clears the lowest bits of x until n are set.
func withBits(x uint64, n int) uint64 {
	for i := 0; bits.OnesCount64(x) != n; i++ {
		if bits.OnesCount64(x) < n {
			x |= 1 << i
		} else {
			x &^= 1 << i
		}
	}
	return x
}

// requests signs that many access.request about the patients with so many grants, an equal part
// by the practitioners of each member, each from nonce on. Only practitioners of clinical
// members get anything; to the ledger the others are as much work.
func (l *load) requests(chain string, p *people, grants, txs int, nonce uint64) error {
	about := p.patients[grants]
	if len(about) == 0 {
		return fmt.Errorf("perf: no patients with %d grants", grants)
	}
	l.txs = nil
	next := map[tx.Account]uint64{}
	for _, doctors := range p.doctors {
		mine := make([][]byte, txs/len(p.doctors))
		for i := range mine {
			var key [32]byte
			if _, err := rand.Read(key[:]); err != nil {
				return err
			}
			by := doctors[i%len(doctors)]
			n := next[by.Account()]
			next[by.Account()]++
			var err error
			mine[i], _, err = tx.Sign(chain, access.KindRequest, &access.Request{
				Patient: about[i%len(about)], Purpose: consent.TREAT, Mask: ^uint64(0), ReaderKey: key, TTL: 600,
			}, by.Account(), nonce+n, 5000, by)
			if err != nil {
				return err
			}
		}
		l.txs = append(l.txs, mine)
	}
	l.weigh()
	return nil
}

// question is what a decision about one of the patients is made from.
func (p *people) question(r state.Reader, i, grants int) (consent.Question, bool) {
	actor, member, ok := identity.Standing(r, p.doctors[0][i%doctorsEach].Account())
	about := p.patients[grants]
	return consent.Question{
		Patient: about[i%len(about)], Actor: actor, Member: member, Purpose: consent.TREAT, Requested: ^uint64(0), Now: 1,
	}, ok
}
