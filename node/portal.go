package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/client"
	"salus/exchange"
	"salus/gateway"
	"salus/gateway/portal"
	"salus/gateway/smart"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
	app "salus/portal"
	"salus/receipt"
	"salus/record"
)

// A portalPart is the web portal with its listener; nil where there is none.
type portalPart struct {
	portal *portal.Portal
	ln     net.Listener
}

func (p *portalPart) serve() error {
	if p == nil {
		return nil
	}
	return p.portal.Serve(p.ln)
}

func (p *portalPart) shutdown(ctx context.Context) error {
	if p == nil {
		return nil
	}
	return p.portal.Shutdown(ctx)
}

// openPortal opens the portal, if there is to be one. member signs as the organisation.
func (n *Node) openPortal(keys *keys, member *client.Submitter, prover *client.Prover) error {
	c := n.cfg
	if c.Portal.Listen == "" {
		return nil
	}
	genesis, err := os.ReadFile(c.GenesisFile())
	if err != nil {
		return fmt.Errorf("node: genesis: %w", err)
	}
	registration, err := portal.App(c.PortalOrigin())
	if err != nil {
		return fmt.Errorf("node: portal: %w", err)
	}
	if _, _, err := n.fhir.apps.Server.Register(registration); err != nil {
		return fmt.Errorf("node: portal: %w", err)
	}
	read := n.record.Reading()
	part := &portalPart{}
	part.portal, err = portal.New(portal.Config{
		Name: n.memberName, Self: c.Member, Chain: n.client.Chain(), Origin: c.PortalOrigin(), SignUp: c.Portal.SignUp,
		Files: app.Files(), Genesis: genesis,
		Ledger: replica{n}, Blocks: replica{n}, Prover: prover, Transport: n.client.Transport(),
		Enrol: func(ctx context.Context, m *identity.Enrol) (client.Committed, error) {
			return member.Submit(ctx, identity.KindEnrol, m)
		},
		TakeIn: n.record.TakeIn, ClaimKey: n.claimKey, ClaimCode: n.claimCode,
		Finish: func(ctx context.Context, m *recovery.Finish) (client.Committed, error) {
			return member.Submit(ctx, recovery.KindFinish, m)
		},
		Sign: func(ctx context.Context, name string, kind tx.Kind, m tx.Message) (client.Committed, error) {
			s, err := (staff{c}).Signer(name)
			if err != nil {
				return client.Committed{}, err
			}
			return n.client.As(s).Submit(ctx, kind, m)
		},
		Mandate: n.mandate,
		Relay:   wallets{n.record, read.Custodians}, Reading: read.Chain, Changed: n.hub.Changed, Quorum: n.quorum, Own: ownRecords{n},
		Staff: portalStaff{n}, Passkeys: staffPasskeys(n.fhir.apps.Server), Note: n.fhir.event, Lifetimes: portal.Lifetimes{StepUp: c.FHIR.StepUp.Duration}, Desk: desk{n}, Intake: n.gateway.Handler(), Admin: withToken(keys.token, n.gateway.Handler()), Log: n.log,
	})
	if err != nil {
		return err
	}
	if part.ln, err = net.Listen("tcp", c.Portal.Listen); err != nil {
		return fmt.Errorf("node: portal.listen: %w", err)
	}
	n.onClose(closeListener(part.ln))
	n.portal = part
	return nil
}

// mandate is everything but the order of kinds of a patient whom this organisation stewards.
func (n *Node) mandate(patient tx.Account) (mask, except uint64, err error) {
	slots, err := n.record.SlotMap(patient)
	if err != nil {
		return 0, 0, err
	}
	return slots.MasksWithout(rand.Reader, nil)
}

// claimKey is the public half of the claim code that this organisation keeps for a patient whom it enrolled.
func (n *Node) claimKey(patient tx.Account) (tx.PublicKey, bool) {
	c, err := n.record.ClaimCode(patient)
	if err != nil || len(c.Secret) != 32 {
		return tx.PublicKey{}, false
	}
	return identity.ClaimSigner(patient, [32]byte(c.Secret)).Public(), true
}

// claimCode is the claim code of a patient as this organisation refers to her.
func (n *Node) claimCode(reference string) (record.ClaimCode, error) {
	patient, err := n.record.Known(reference)
	if err != nil {
		return record.ClaimCode{}, err
	}
	return n.record.ClaimCode(patient)
}

// memberName is what the ledger calls this organisation; before the first block, what the configuration calls it.
func (n *Node) memberName() string {
	if n.app.Head().Height == 0 {
		return n.cfg.Name
	}
	v := n.app.View()
	defer v.Close()
	if m, ok := governance.LookupMember(v, n.cfg.Member); ok {
		return m.Name
	}
	return n.cfg.Name
}

// withToken says the operator's token for requests that were admitted elsewhere.
func withToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+token)
		next.ServeHTTP(w, r)
	})
}

// wallets reach the custodians.
type wallets struct {
	service *record.Service
	record.Custodians
}

// Openings implements portal.Relay.
func (w wallets) Openings(ctx context.Context, to tx.Account, q *exchange.OpeningsRequest) (*exchange.Sealed, error) {
	return w.service.Openings(ctx, to, q)
}

// portalStaff is the node's staff as the portal signs them in.
type portalStaff struct{ n *Node }

// OAuth implements portal.Staff.
func (s portalStaff) OAuth() *smart.Server { return s.n.fhir.apps.Server }

// FHIR implements portal.Staff.
func (s portalStaff) FHIR() http.Handler { return s.n.fhir.front }

// Account implements portal.Staff.
func (s portalStaff) Account(name string) (tx.Account, bool) {
	signer, err := (staff{s.n.cfg}).Signer(name)
	if err != nil {
		return tx.Account{}, false
	}
	return signer.Account(), true
}

// Person implements portal.Staff.
func (s portalStaff) Person(name string) (*smart.User, bool) {
	account, ok := s.Account(name)
	if !ok {
		return nil, false
	}
	v := s.n.app.View()
	defer v.Close()
	return gateway.StaffUser(name, account, v), true
}

// replica is what the portal reads of the chain.
type replica struct{ *Node }

// Head implements portal.Ledger.
func (r replica) Head() ledger.Head { return r.app.Head() }

// Ask implements portal.Ledger.
func (r replica) Ask(path string, arg []byte) ([]byte, error) { return r.app.Ask(path, arg) }

// Standing implements portal.Ledger.
func (r replica) Standing(account tx.Account) (identity.Principal, bool) {
	v := r.app.View()
	defer v.Close()
	p, _, ok := identity.Standing(v, account)
	return p, ok
}

// Entry implements portal.Ledger.
func (r replica) Entry(index uint64) ([]byte, bool) {
	v := r.app.View()
	defer v.Close()
	return v.Entry(index)
}

// Recent implements portal.Chain.
func (r replica) Recent(ctx context.Context, upTo int64, n int) ([]portal.Block, error) {
	c := r.comet.Load()
	if c == nil {
		return nil, client.ErrUnreachable
	}
	info, err := c.rpc.BlockchainInfo(ctx, max(1, upTo-int64(n)+1), upTo)
	if err != nil {
		return nil, fmt.Errorf("node: blocks: %w", err)
	}
	v := r.app.View()
	defer v.Close()
	proposers := map[string]tx.Account{}
	for _, m := range governance.Members(v) {
		if len(m.Validator) > 0 {
			proposers[string(cmted25519.PubKey(m.Validator).Address())] = m.Account
		}
	}
	out := []portal.Block{}
	for _, m := range info.BlockMetas {
		if len(out) == n {
			break
		}
		out = append(out, portal.Block{
			Height: m.Header.Height, Time: m.Header.Time.UTC().Truncate(time.Millisecond), Hash: m.BlockID.Hash.String(), Txs: m.NumTxs, Proposer: proposers[string(m.Header.ProposerAddress)],
		})
	}
	return out, nil
}

var errHeight = errors.New("node: validators of the block do not fit together")

// Light implements portal.Chain.
func (r replica) Light(ctx context.Context, height int64) ([]byte, error) {
	c := r.comet.Load()
	if c == nil {
		return nil, client.ErrUnreachable
	}
	commit, err := c.rpc.Commit(ctx, &height)
	if err != nil {
		return nil, fmt.Errorf("node: block: %w", err)
	}
	page, per := 1, 100
	vs, err := c.rpc.Validators(ctx, &height, &page, &per)
	if err != nil {
		return nil, fmt.Errorf("node: validators: %w", err)
	}
	set, err := cmttypes.ValidatorSetFromExistingValidators(vs.Validators)
	if err != nil {
		return nil, errors.Join(errHeight, err)
	}
	return receipt.EncodeBlock(&cmttypes.LightBlock{SignedHeader: &commit.SignedHeader, ValidatorSet: set})
}
