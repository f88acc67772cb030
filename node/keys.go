package node

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"salus/config"
	"salus/ledger/tx"
)

// keys are a node's secrets, each in a file of its own with mode 0600.
type keys struct {
	member, peer ed25519.PrivateKey
	store        [32]byte
	token        string
}

func loadKeys(c *config.Config) (*keys, error) {
	member, err := readSeed(c.MemberKeyFile())
	if err != nil {
		return nil, err
	}
	peerSeed, err := readSeed(c.PeerKeyFile())
	if err != nil {
		return nil, err
	}
	store, err := readSeed(c.StoreKeyFile())
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil || len(strings.TrimSpace(string(token))) < 32 {
		return nil, fmt.Errorf("node: %s: no token of at least 32 characters", filepath.Base(c.TokenFile()))
	}
	return &keys{
		member: ed25519.NewKeyFromSeed(member[:]), peer: ed25519.NewKeyFromSeed(peerSeed[:]), store: store, token: strings.TrimSpace(string(token)),
	}, nil
}

// readSeed reads 32 bytes in hex and refuses a file that others can read.
func readSeed(path string) (seed [32]byte, err error) {
	name := filepath.Base(path)
	info, err := os.Stat(path)
	if err != nil {
		return seed, fmt.Errorf("node: key %s: %w", name, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return seed, fmt.Errorf("node: key %s can be read by others; set its mode to 0600", name)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return seed, fmt.Errorf("node: key %s: %w", name, err)
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || len(raw) != 32 {
		return seed, fmt.Errorf("node: key %s is not 32 bytes in hex", name)
	}
	return [32]byte(raw), nil
}

// WriteSeed draws a seed and writes it with mode 0600; an existing file is left alone.
func WriteSeed(path string) ([32]byte, error) {
	if seed, err := readSeed(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return seed, err
	}
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return seed, fmt.Errorf("node: random numbers: %w", err)
	}
	return seed, os.WriteFile(path, []byte(hex.EncodeToString(seed[:])+"\n"), 0o600)
}

// staff keeps the keys of the member's practitioners and devices: keys/staff-<name>.key
// holds the account and the seed.
type staff struct{ cfg *config.Config }

var (
	errStaffName = tx.Refuse(0x2401, "node: a staff name has 1 to 64 letters, digits and dashes")
	errNoStaff   = tx.Refuse(0x2402, "node: no key of that name in this organisation")
	errIsStaff   = tx.Refuse(0x2403, "node: a key of that name exists already")
	errNoPack    = tx.Refuse(0x2405, "node: this member does not hold that")
	errArg       = tx.Refuse(0x2404, "node: the path names nothing that could exist")
)

func (s staff) path(name string) (string, error) {
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-')
	}) {
		return "", errStaffName
	}
	return filepath.Join(s.cfg.KeyDir(), "staff-"+name+".key"), nil
}

// Signer implements gateway.Staff.
func (s staff) Signer(name string) (tx.Signer, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoStaff
	}
	if err != nil {
		return nil, fmt.Errorf("node: staff key: %w", err)
	}
	account, seed, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	raw, herr := hex.DecodeString(seed)
	a, aerr := tx.ParseAccount(account)
	if !ok || herr != nil || aerr != nil || len(raw) != ed25519.SeedSize {
		return nil, errors.New("node: a staff key file is damaged")
	}
	return tx.NewEd25519Signer(a, ed25519.NewKeyFromSeed(raw)), nil
}

// Add implements gateway.Staff.
func (s staff) Add(name string) (tx.Signer, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	var account tx.Account
	seed := make([]byte, ed25519.SeedSize)
	for _, b := range [][]byte{account[:], seed} {
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("node: random numbers: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, errIsStaff
	}
	if err != nil {
		return nil, fmt.Errorf("node: staff key: %w", err)
	}
	_, err = fmt.Fprintf(f, "%s %x\n", account, seed)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("node: staff key: %w", err)
	}
	return tx.NewEd25519Signer(account, ed25519.NewKeyFromSeed(seed)), nil
}

// Names implements gateway.Staff.
func (s staff) Names() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.cfg.KeyDir(), "staff-*.key"))
	if err != nil {
		return nil, fmt.Errorf("node: staff keys: %w", err)
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "staff-"), ".key"))
	}
	return out, nil
}
