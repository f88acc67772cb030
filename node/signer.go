package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cometbft/cometbft/consensus"
	"github.com/cometbft/cometbft/crypto"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"salus/config"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

var (
	errNoConsensusKey = tx.Refuse(0x2411, "node: the consensus key that the ledger names is not in this home; the members can vote on another")
	errOtherKey       = tx.Refuse(0x2412, "node: asked to sign with a consensus key that does not count at that height")
)

// A signer signs in consensus with the key that the ledger names for each height. Each key has a state
// of its own (what it signed last), whose file is named after the key, so that no crash between two
// steps of a change can pair a key with the state of another.
type signer struct {
	cfg *config.Config
	at  func(height int64) []byte // the key that counts; nil: none, or the ledger does not know yet
	log *slog.Logger

	mu   sync.Mutex
	keys map[string]*privval.FilePV // by public key
	path map[string]string          // of the key file
	any  *privval.FilePV            // shown to consensus while no key counts
}

// newSigner loads the keys of a home.
func newSigner(c *config.Config, app *ledger.App, log *slog.Logger) (*signer, error) {
	s := &signer{cfg: c, log: log, at: func(height int64) []byte {
		v := app.View()
		defer v.Close()
		return governance.ValidatorAt(v, c.Member, uint64(height))
	}}
	return s, s.load()
}

// nextKeyFile is a key that was drawn and that the ledger may not know yet.
func nextKeyFile(c *config.Config) string { return filepath.Join(c.KeyDir(), "validator-next.json") }

// keyStateFile is what a key signed last.
func keyStateFile(c *config.Config, address crypto.Address) string {
	return filepath.Join(c.KeyDir(), "validator-"+address.String()+".state")
}

// load reads every consensus key of the home: the one it began with and those made since.
func (s *signer) load() error {
	files, err := filepath.Glob(filepath.Join(s.cfg.KeyDir(), "validator-*.json"))
	if err != nil {
		return fmt.Errorf("node: consensus keys: %w", err)
	}
	keys, path := map[string]*privval.FilePV{}, map[string]string{}
	var first *privval.FilePV
	for _, file := range append([]string{validatorKeyFile(s.cfg)}, files...) {
		pv, err := loadConsensusKey(s.cfg, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the one it began with is gone once it was replaced
		}
		if err != nil {
			return err
		}
		pub := string(pv.Key.PubKey.Bytes())
		if old := s.keys[pub]; old != nil {
			pv = old // what it signed last is in memory
		}
		keys[pub], path[pub] = pv, file
		if first == nil {
			first = pv
		}
	}
	if first == nil {
		return fmt.Errorf("%w: neither %s nor a later one", errNoConsensusKey, filepath.Base(validatorKeyFile(s.cfg)))
	}
	s.keys, s.path, s.any = keys, path, first
	return nil
}

// loadConsensusKey reads a key and what it signed last. CometBFT's own loader ends the process when a
// file is damaged.
func loadConsensusKey(c *config.Config, file string) (*privval.FilePV, error) {
	b, err := os.ReadFile(file)
	var key privval.FilePVKey
	if err == nil {
		err = cmtjson.Unmarshal(b, &key)
	}
	if err == nil && key.PrivKey == nil {
		err = errors.New("no key in it")
	}
	if err != nil {
		return nil, fmt.Errorf("node: %s: %w", filepath.Base(file), err)
	}
	state := validatorStateFile(c)
	if file != validatorKeyFile(c) {
		state = keyStateFile(c, key.PrivKey.PubKey().Address())
	}
	b, err = os.ReadFile(state)
	if errors.Is(err, fs.ErrNotExist) {
		return privval.LoadFilePVEmptyState(file, state), nil
	}
	if err == nil {
		err = cmtjson.Unmarshal(b, &privval.FilePVLastSignState{})
	}
	if err != nil {
		return nil, fmt.Errorf("node: %s: %w", filepath.Base(state), err)
	}
	return privval.LoadFilePV(file, state), nil
}

// pick is the key for a height. The caller holds mu.
func (s *signer) pick(height int64) (*privval.FilePV, error) {
	want := s.at(height)
	if want == nil {
		return s.any, nil
	}
	if pv := s.keys[string(want)]; pv != nil {
		return pv, nil
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if pv := s.keys[string(want)]; pv != nil {
		return pv, nil
	}
	return nil, errNoConsensusKey
}

// publicAt is the key shown to consensus for a height. Without the one that counts it is another, with
// which consensus finds that this node does not vote.
func (s *signer) publicAt(height int64) crypto.PubKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	pv, err := s.pick(height)
	if err != nil {
		s.log.Error("consensus_key_missing", "height", height, "err", err)
		return s.any.Key.PubKey
	}
	return pv.Key.PubKey
}

// A voter is what consensus signs with; head says which block it decided last.
type voter struct {
	*signer
	head func() int64
}

// GetPubKey implements types.PrivValidator. Consensus asks after every block.
func (v voter) GetPubKey() (crypto.PubKey, error) { return v.publicAt(v.head() + 1), nil }

// SignVote implements types.PrivValidator.
func (v voter) SignVote(chain string, vote *cmtproto.Vote) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	pv, err := v.pick(vote.Height)
	if err != nil {
		return err
	}
	if !bytes.Equal(vote.ValidatorAddress, pv.Key.Address) {
		return errOtherKey
	}
	return pv.SignVote(chain, vote)
}

// SignProposal implements types.PrivValidator.
func (v voter) SignProposal(chain string, p *cmtproto.Proposal) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	pv, err := v.pick(p.Height)
	if err != nil {
		return err
	}
	return pv.SignProposal(chain, p)
}

// retire destroys the file of the key that was replaced, once no block can need it any more and the new
// one is here. What it signed last stays: it says that it voted.
func (s *signer) retire(old []byte, height int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.pick(height)
	if err != nil || bytes.Equal(now.Key.PubKey.Bytes(), old) || s.keys[string(old)] == nil || s.at(height) == nil {
		return err
	}
	file := s.path[string(old)]
	if err := destroyFile(file); err != nil {
		return fmt.Errorf("node: replaced consensus key: %w", err)
	}
	delete(s.keys, string(old))
	delete(s.path, string(old))
	s.any = now
	s.log.Warn("consensus_key_destroyed", "address", crypto.AddressHash(old).String())
	return nil
}

// destroyFile overwrites a file before it removes it. On disks that write elsewhere than they are told
// to, the bytes may last.
func destroyFile(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Remove(path)
}

// consensusKeys tells consensus when another key counts, and destroys the one before. Consensus asks by
// itself after each block that it decides, but not after those that it fetches.
func (n *Node) consensusKeys(ctx context.Context) error {
	var shown []byte
	for {
		changed := n.hub.Changed()
		height := n.app.Head().Height
		if r := n.comet.Load(); r != nil {
			if pub := n.signer.publicAt(height + 1).Bytes(); !bytes.Equal(pub, shown) {
				if err := show(r.node, n.voter()); err != nil {
					return err
				}
				shown = pub
			}
		}
		v := n.app.View()
		s, was := governance.LookupSwitch(v, n.cfg.Member)
		v.Close()
		if was && len(s.Old) > 0 && uint64(height) >= s.Height+2 {
			if err := n.signer.retire(s.Old, height+1); err != nil {
				n.log.WarnContext(ctx, "consensus_key_kept", "err", err)
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Handover draws the next consensus key of a home, keeps it durably, and makes the message that replaces
// the present one, signed by both. Until the ledger has it, calling it again makes the same message.
func Handover(c *config.Config, chain string, m governance.Member) (*governance.Validator, error) {
	s := &signer{cfg: c, at: func(int64) []byte { return nil }}
	if err := s.load(); err != nil {
		return nil, err
	}
	old := s.keys[string(m.Validator)]
	if old == nil {
		return nil, errNoConsensusKey
	}
	file := nextKeyFile(c)
	if s.path[string(m.Validator)] == file { // the last change's: it counts now, and gets a name of its own
		to := strings.Replace(file, "next", old.Key.Address.String(), 1)
		if err := os.Rename(file, to); err != nil {
			return nil, fmt.Errorf("node: consensus key: %w", err)
		}
	}
	next, err := loadConsensusKey(c, file)
	if errors.Is(err, fs.ErrNotExist) {
		privval.GenFilePV(file, "").Key.Save()
		next, err = loadConsensusKey(c, file)
	}
	if err != nil {
		return nil, err
	}
	msg := &governance.Validator{Validator: next.Key.PubKey.Bytes()}
	digest := governance.HandoverDigest(chain, c.Member, m.Validator, msg.Validator)
	msg.Old = ed25519.Sign(ed25519.PrivateKey(old.Key.PrivKey.Bytes()), digest[:])
	msg.New = ed25519.Sign(ed25519.PrivateKey(next.Key.PrivKey.Bytes()), digest[:])
	return msg, nil
}

// voter signs for this node.
func (n *Node) voter() voter {
	return voter{n.signer, func() int64 { return n.app.Head().Height }}
}

// show has consensus ask the voter for its key again. CometBFT hands its consensus out only to its RPC.
func show(n *cmtnode.Node, v voter) error {
	env, err := n.ConfigureRPC()
	if err != nil {
		return fmt.Errorf("node: consensus: %w", err)
	}
	state, ok := env.ConsensusState.(*consensus.State)
	if !ok {
		return errors.New("node: consensus: not the kind that asks for keys")
	}
	state.SetPrivValidator(v)
	return nil
}
