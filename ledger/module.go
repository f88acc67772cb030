package ledger

import (
	"bytes"
	"fmt"
	"strings"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Module is one room of the state machine. Hooks that are nil are skipped.
// A node runs its modules in the order of its list, which is part of consensus.
type Module struct {
	Name   string // lower case; message kinds, queries and log entries begin with it
	Prefix byte   // of its keys, result codes and log entry kinds; from 0x02 on

	// Since is the state-machine version that the module comes with; 0 is the first.
	// Before it, its messages are unknown and its hooks do not run.
	Since uint64

	Calls   []Call  // what may be sent
	Queries []Query // what may be asked

	// Genesis writes the module's first rows from its part of the genesis
	// file's app_state, which is nil if there is none. An error refuses the
	// file: the chain does not start.
	Genesis func(c *Context, raw []byte) error
	// BeginBlock and EndBlock run once per block, before and after its
	// transactions. They have no input that could be wrong: an error halts.
	BeginBlock, EndBlock func(c *Context) error

	// Upgrade runs once in the first block of a new state-machine version, before
	// everything else of it, in the order of the list: where rows change their
	// shape, and where a module that comes with the version writes its first ones.
	// c.Version is the new version, from the one before it.
	Upgrade func(c *Context, from uint64) error

	Codes   []tx.CodeInfo     // every refusal it can answer
	Tables  []state.TableInfo // every table it writes
	Entries []EntryInfo       // every kind of log entry it appends
}

// A Call binds a kind of message to the handler that executes it. Make one
// with On.
type Call struct {
	Kind tx.Kind
	New  func() tx.Message // an empty message of this kind

	handle func(c *Context, m tx.Message) error
}

// On makes a Call of a typed handler. The payload is decoded strictly and
// validated before handle sees it. handle refuses with a *tx.Refusal; any other
// error is a programming error and halts. It need not undo what it wrote
// before it refused. It runs many times on one message, also at the same time
// (a check, a proposal, a block), and must not write to it.
func On[M any, P interface {
	*M
	tx.Message
}](kind tx.Kind, handle func(c *Context, m P) error) Call {
	return Call{
		Kind: kind,
		New:  func() tx.Message { return P(new(M)) },
		handle: func(c *Context, m tx.Message) error {
			own, ok := m.(P)
			if !ok {
				panic("ledger: internal error: a message of another kind than " + string(kind))
			}
			return handle(c, own)
		},
	}
}

// Decode reads a payload of this kind as strictly as delivery does. The error
// is a *tx.Refusal.
func (c Call) Decode(payload []byte) (tx.Message, error) {
	m := c.New()
	if tx.Decode(payload, m) != nil {
		return nil, errPayload
	}
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return m, nil
}

// Run executes the call on c as delivery does after authentication, for
// modules' own tests. c.State keeps what a refused call wrote.
func (c Call) Run(ctx *Context, payload []byte) error {
	m, err := c.Decode(payload)
	if err != nil {
		return err
	}
	return c.handle(ctx, m)
}

// A Query answers one question from committed state. Argument and answer are
// canonical CBOR; a refusal is a *tx.Refusal. Answer must be as deterministic
// as a handler: the answer at a height is the same on every node.
type Query struct {
	Path   string // "<module>/<what>"
	Answer func(r state.Reader, head Head, arg []byte) ([]byte, error)

	// Arg and Reply are zero values of what Answer decodes and encodes, for
	// tools that show both as JSON; nil if there is none.
	Arg, Reply any
}

// An Authenticator verifies a transaction's signatures against the keys that
// are live at h and says who signed. It resolves keys itself and calls verify
// for each signature, which remembers verdicts. Refusals are *tx.Refusal.
type Authenticator func(r state.Reader, h Head, p Params, b *tx.Body, e *tx.Envelope, digest tx.Hash, verify VerifyFunc) (Signer, error)

// A VerifyFunc checks one signature as tx.PublicKey.Verify does.
type VerifyFunc func(key tx.PublicKey, digest tx.Hash, s *tx.Signature, pol tx.PasskeyPolicy) error

// checkModules reports what would make two modules claim the same name, key,
// code, kind, path or entry.
func checkModules(mods []Module) error {
	var tables []state.TableInfo
	seen := map[string]bool{}
	once := func(what string) error {
		if seen[what] {
			return fmt.Errorf("ledger: %s is taken twice", what)
		}
		seen[what] = true
		return nil
	}
	for _, m := range mods {
		if m.Name == "" || strings.ToLower(m.Name) != m.Name || strings.ContainsAny(m.Name, "./ ") {
			return fmt.Errorf("ledger: bad module name %q", m.Name)
		}
		if m.Prefix <= Prefix {
			return fmt.Errorf("ledger: module %s: prefix %#02x belongs to the ledger", m.Name, m.Prefix)
		}
		claims := []string{"module " + m.Name, fmt.Sprintf("prefix %#02x", m.Prefix)}
		for _, c := range m.Calls {
			if !strings.HasPrefix(string(c.Kind), m.Name+".") || c.handle == nil {
				return fmt.Errorf("ledger: module %s: bad kind %q", m.Name, c.Kind)
			}
			claims = append(claims, "kind "+string(c.Kind))
		}
		for _, q := range m.Queries {
			if !strings.HasPrefix(q.Path, m.Name+"/") || q.Answer == nil {
				return fmt.Errorf("ledger: module %s: bad query %q", m.Name, q.Path)
			}
			claims = append(claims, "query "+q.Path)
		}
		for _, c := range m.Codes {
			if c.Code>>8 != uint32(m.Prefix) || c.Code&0xff == 0 {
				return fmt.Errorf("ledger: module %s: code %#04x is not of its prefix", m.Name, c.Code)
			}
			claims = append(claims, fmt.Sprintf("code %#04x", c.Code), "code "+c.Name)
		}
		for _, t := range m.Tables {
			if len(t.Prefix) == 0 || t.Prefix[0] != m.Prefix {
				return fmt.Errorf("ledger: module %s: table %q is not of its prefix", m.Name, t.Name)
			}
			for _, o := range tables {
				if bytes.HasPrefix(t.Prefix, o.Prefix) || bytes.HasPrefix(o.Prefix, t.Prefix) {
					return fmt.Errorf("ledger: tables %q and %q overlap", o.Name, t.Name)
				}
			}
			tables = append(tables, t)
			claims = append(claims, "table "+t.Name)
		}
		for _, e := range m.Entries {
			if byte(e.Kind>>8) != m.Prefix || !strings.HasPrefix(e.Name, m.Name+".") || e.Payload == nil {
				return fmt.Errorf("ledger: module %s: bad log entry %q", m.Name, e.Name)
			}
			claims = append(claims, fmt.Sprintf("log entry %#04x", uint16(e.Kind)), "log entry "+e.Name)
		}
		for _, c := range claims {
			if err := once(c); err != nil {
				return err
			}
		}
	}
	return nil
}
