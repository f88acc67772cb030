package devnet

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"salus/config"
	"salus/exchange"
	"salus/internal/peer"
	"salus/ledger/tx"
	"salus/record"
	"salus/seal"
	"salus/threshold"
)

// Lie stops an organisation's node and answers on its address, under its keys, as a
// custodian that releases to everybody who asks, with shares it made up, and signs for
// them. That is what a member gone bad could do.
func (n *Network) Lie(ctx context.Context, org string) error {
	c, err := n.Config(org)
	if err != nil {
		return err
	}
	l, err := newLiar(c)
	if err != nil {
		return err
	}
	// Who the others are and which seat is the liar's, it knows from an honest member.
	if err := l.learn(ctx, n, org); err != nil {
		return err
	}
	if err := n.Stop(org); err != nil && !errors.Is(err, errStopped) {
		return err
	}
	ln, err := net.Listen("tcp", c.Peer.Listen)
	if err != nil {
		return fmt.Errorf("devnet: %w", err)
	}
	id, err := peer.NewIdentity(l.peer)
	if err != nil {
		return err
	}
	srv := peer.NewServer(id, l, n.log, peer.DefaultLimits)
	srv.Handle(exchange.PathRelease, l.release)
	n.mu.Lock()
	defer n.mu.Unlock()
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.watch(org, &member{cancel: cancel, liar: true}, func() error {
		stop := context.AfterFunc(run, func() { _ = srv.Shutdown(context.WithoutCancel(run)) })
		defer stop()
		return srv.Serve(ln)
	})
	return nil
}

type liar struct {
	chain   string
	index   int
	member  ed25519.PrivateKey
	peer    ed25519.PrivateKey
	members []struct {
		Account tx.Account `json:"account"`
		Peer    []byte     `json:"peer"`
	}
}

func newLiar(c *config.Config) (*liar, error) {
	l := &liar{}
	for _, k := range []struct {
		file string
		to   *ed25519.PrivateKey
	}{{c.MemberKeyFile(), &l.member}, {c.PeerKeyFile(), &l.peer}} {
		b, err := os.ReadFile(k.file)
		if err != nil {
			return nil, fmt.Errorf("devnet: %w", err)
		}
		seed, err := hex.DecodeString(strings.TrimSpace(string(b)))
		if err != nil || len(seed) != ed25519.SeedSize {
			return nil, errors.New("devnet: a key file is damaged")
		}
		*k.to = ed25519.NewKeyFromSeed(seed)
	}
	return l, nil
}

func (l *liar) learn(ctx context.Context, n *Network, org string) error {
	c, err := n.Config(org)
	if err != nil {
		return err
	}
	for _, other := range n.Orgs() {
		if other == org {
			continue
		}
		api, err := n.API(other)
		if err != nil {
			return err
		}
		if err := api.JSON(ctx, "GET", "/v1/members", nil, &l.members); err != nil {
			continue
		}
		var com record.Committee
		if err := api.CBOR(ctx, "GET", "/v1/relay/committee", nil, &com); err != nil {
			return err
		}
		l.chain = n.manifest.Chain
		l.index, _ = com.Epoch.IndexOf(c.Member)
		return nil
	}
	return errors.New("devnet: no honest member answers")
}

// Member implements peer.Directory; the liar calls nobody.
func (l *liar) Member(tx.Account) (string, ed25519.PublicKey, bool) { return "", nil, false }

// ByKey implements peer.Directory.
func (l *liar) ByKey(key ed25519.PublicKey) (tx.Account, bool) {
	for _, m := range l.members {
		if key.Equal(ed25519.PublicKey(m.Peer)) {
			return m.Account, true
		}
	}
	return tx.Account{}, false
}

// release makes shares up and signs for them.
func (l *liar) release(_ context.Context, r *peer.Request) (any, error) {
	var req exchange.ReleaseRequest
	if err := r.Decode(&req); err != nil {
		return nil, err
	}
	reply := &exchange.ReleaseReply{Custodian: uint8(l.index), Sequence: 1, Height: 1}
	for header, indices := range req.List.Groups() {
		shares := make([]threshold.Share, len(indices))
		for i := range shares {
			if _, err := rand.Read(shares[i][:31]); err != nil { // below the group order
				return nil, err
			}
		}
		sealed, err := seal.Release(req.ReaderKey, req.Session, l.index, header, indices, shares)
		if err != nil {
			return nil, err
		}
		reply.Parts = append(reply.Parts, exchange.ReleasedPart{Header: header, Sealed: sealed})
	}
	d := exchange.ReplyDigest(l.chain, req.Session, req.List.Root(), reply)
	reply.Signature = ed25519.Sign(l.member, d[:])
	return reply, nil
}
