package ledgertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/fxamacker/cbor/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// update rewrites the goldens instead of comparing: go test -update.
var update = flag.Bool("update", false, "rewrite golden app hashes")

// golden is the file of app hashes beside the scripts.
const golden = "apphash.golden"

// Run tells every story in dir, each on a chain of its own, and compares the
// app hash it ends with to dir/apphash.golden. A story is a txtar file whose
// commands are those of testscript and:
//
//	tx signer kind json          commit a message in a block of its own
//	! tx signer kind json code   the same, refused with that code
//	queue signer kind json       sign a message for the next block
//	block [duration]             let time pass, then commit a block of what is queued
//	read path [json]             ask a module's query
//	! read path json code        the same, refused with that code
//	log [n]                      show log entries, from index n on
//	prove hex...                 show a row's bytes, the key given in parts, with a verified proof
//	prove entry n                verify the proof of a log entry
//	state                        show height, time and size of the log
//	restart                      close both instances and open them again
//
// A signer is a name, or several with + between them, the first of which acts.
// "tx -as label ..." names the transaction. A code is a number (0x0603) or its
// name. Results go to stdout, so "stdout" and "cmp" look at them. In JSON,
// strings that begin with @ stand for what a name derives:
//
//	@alice            account               @key/alice    public key
//	@keyid/alice      id of that key        @tx/label     id of a transaction
//	@hash/word        32 bytes, as hex      @id/word      16 bytes, as hex
//	@bytes/word       32 bytes, as base64   @now @now+1h  block time, a number
//
// Where a Query does not say what it takes and gives, its argument and answer
// are CBOR in diagnostic notation with the same words. A file genesis.json in
// the story replaces Params.Genesis.
func Run(t *testing.T, dir string, p Params) {
	g := &goldens{path: filepath.Join(dir, golden), hashes: map[string]string{}}
	commands := map[string]func(*story, *testscript.TestScript, bool, []string){
		"tx": (*story).tx, "queue": (*story).queue, "block": (*story).block, "read": (*story).read,
		"log": (*story).log, "prove": (*story).prove, "state": (*story).state, "restart": (*story).restart,
	}
	cmds := map[string]func(*testscript.TestScript, bool, []string){}
	for name, run := range commands {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			run(ts.Value(storyKey{}).(*story), ts, neg, args)
		}
	}
	t.Cleanup(func() { g.check(t) })
	testscript.Run(t, testscript.Params{
		Dir:           dir,
		UpdateScripts: *update,
		Cmds:          cmds,
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return errors.New("ledgertest: not run by go test")
			}
			s := &story{params: p, names: map[string]string{}, ids: map[string]tx.Hash{}}
			raw, err := os.ReadFile(filepath.Join(env.WorkDir, "genesis.json"))
			if err == nil {
				s.params.Genesis = nil
				if raw, err = s.expand(string(raw)); err == nil {
					err = json.Unmarshal(raw, &s.params.Genesis)
				}
			} else if os.IsNotExist(err) {
				err = nil
			}
			if err != nil {
				return fmt.Errorf("genesis.json: %w", err)
			}
			s.chain = New(tb, s.params)
			env.Values[storyKey{}] = s
			name := tb.Name()[strings.LastIndex(tb.Name(), "/")+1:]
			tb.Cleanup(func() {
				if !tb.Failed() {
					h := s.chain.Head()
					g.add(name, fmt.Sprintf("%d %x", h.Height, h.AppHash))
				}
			})
			return nil
		},
	})
}

type storyKey struct{}

// A story is one script being told.
type story struct {
	params Params
	chain  *Chain
	queued [][]byte
	names  map[string]string  // what is printed for the text of an account or hash
	ids    map[string]tx.Hash // transactions by label
}

func (s *story) sign(ts *testscript.TestScript, args []string) (raw []byte, id tx.Hash) {
	label := ""
	if len(args) > 2 && args[0] == "-as" {
		label, args = args[1], args[2:]
	}
	if len(args) < 3 {
		ts.Fatalf("usage: tx [-as label] signer kind json [code]")
	}
	kind := tx.Kind(args[1])
	call := s.call(kind)
	if call == nil {
		ts.Fatalf("no module takes %s", kind)
	}
	body, err := s.expand(args[2])
	ts.Check(err)
	msg := call.New()
	ts.Check(strict(body, msg))
	names := strings.Split(args[0], "+")
	for _, n := range names {
		s.names[Account(n).String()] = "@" + n
	}
	raw, id = s.chain.Sign(kind, msg, names...)
	if label != "" {
		s.ids[label] = id
		s.names[id.String()] = "@tx/" + label
	}
	return raw, id
}

func (s *story) call(kind tx.Kind) *ledger.Call {
	for i := range s.params.Modules {
		for j := range s.params.Modules[i].Calls {
			if c := &s.params.Modules[i].Calls[j]; c.Kind == kind {
				return c
			}
		}
	}
	return nil
}

func (s *story) tx(ts *testscript.TestScript, neg bool, args []string) {
	code := ""
	if n := len(args); neg && n > 0 && !strings.HasPrefix(strings.TrimSpace(args[n-1]), "{") {
		code, args = args[n-1], args[:n-1]
	}
	raw, _ := s.sign(ts, args)
	s.verdict(ts, neg, code, s.chain.DoRaw(raw))
}

func (s *story) verdict(ts *testscript.TestScript, neg bool, code string, r *abci.ExecTxResult) {
	fmt.Fprintf(ts.Stdout(), "%#04x %s\n", r.Code, r.Log)
	switch {
	case !neg && r.Code != tx.CodeOK:
		ts.Fatalf("refused with %s: %s", s.codeName(r.Code), r.Log)
	case neg && r.Code == tx.CodeOK:
		ts.Fatalf("accepted, want a refusal")
	case neg && code == "":
		ts.Fatalf("a refusal is told with its code: %s", s.codeName(r.Code))
	case neg:
		if want := s.code(ts, code); r.Code != want {
			ts.Fatalf("refused with %s: %s; want %s", s.codeName(r.Code), r.Log, s.codeName(want))
		}
	}
}

// code reads a result code, as a number or by name.
func (s *story) code(ts *testscript.TestScript, text string) uint32 {
	if n, err := strconv.ParseUint(text, 0, 32); err == nil {
		return uint32(n)
	}
	for _, c := range ledger.Codes(s.params.Modules) {
		if c.Name == text {
			return c.Code
		}
	}
	ts.Fatalf("no code is called %s", text)
	return 0
}

func (s *story) codeName(code uint32) string {
	for _, c := range ledger.Codes(s.params.Modules) {
		if c.Code == code {
			return fmt.Sprintf("%#04x (%s)", code, c.Name)
		}
	}
	return fmt.Sprintf("%#04x (which no module lists)", code)
}

func (s *story) queue(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! queue")
	}
	raw, _ := s.sign(ts, args)
	s.queued = append(s.queued, raw)
}

func (s *story) block(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: block [duration]")
	}
	if len(args) == 1 {
		d, err := time.ParseDuration(args[0])
		ts.Check(err)
		s.chain.Wait(d)
	}
	queued := s.queued
	s.queued = nil
	for _, raw := range queued {
		s.chain.Check(raw)
	}
	kept := s.chain.Block(queued...)
	if len(kept) != len(queued) {
		ts.Fatalf("the proposer dropped %d of %d transactions", len(queued)-len(kept), len(queued))
	}
}

func (s *story) read(ts *testscript.TestScript, neg bool, args []string) {
	code := ""
	if n := len(args); neg && n > 1 {
		code, args = args[n-1], args[:n-1]
	}
	if len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: read path [json]")
	}
	q := s.query(args[0])
	if q == nil {
		ts.Fatalf("no module answers %s", args[0])
	}
	var arg []byte
	if len(args) == 2 {
		arg = s.encode(ts, args[1], q.Arg)
	}
	res := s.chain.Query(&abci.RequestQuery{Path: q.Path, Data: arg})
	s.verdict(ts, neg, code, &abci.ExecTxResult{Code: res.Code, Log: res.Log})
	if res.Code == tx.CodeOK {
		fmt.Fprintln(ts.Stdout(), s.show(ts, res.Value, q.Reply))
	}
}

func (s *story) query(path string) *ledger.Query {
	for i := range s.params.Modules {
		for j := range s.params.Modules[i].Queries {
			if q := &s.params.Modules[i].Queries[j]; q.Path == path {
				return q
			}
		}
	}
	return nil
}

func (s *story) log(ts *testscript.TestScript, neg bool, args []string) {
	from := uint64(0)
	if len(args) == 1 {
		var err error
		from, err = strconv.ParseUint(args[0], 10, 64)
		ts.Check(err)
	}
	v := s.chain.App(0).View()
	defer v.Close()
	infos := ledger.Entries()
	for _, m := range s.params.Modules {
		infos = append(infos, m.Entries...)
	}
	for i := from; i < v.Size(); i++ {
		raw, _ := v.Entry(i)
		e, err := ledger.DecodeEntry(raw)
		ts.Check(err)
		n := slices.IndexFunc(infos, func(in ledger.EntryInfo) bool { return in.Kind == e.Kind })
		if n < 0 {
			ts.Fatalf("log entry %d is of kind %#04x, which no module lists", i, e.Kind)
		}
		fmt.Fprintf(ts.Stdout(), "%d height %d %s %s\n", i, e.Height, infos[n].Name, s.show(ts, e.Payload, infos[n].Payload))
	}
}

func (s *story) prove(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: prove hex... | prove entry n")
	}
	head := s.chain.Head()
	req := &abci.RequestQuery{Path: ledger.PathKey, Prove: true}
	index := uint64(0)
	if args[0] == "entry" && len(args) == 2 {
		var err error
		index, err = strconv.ParseUint(args[1], 10, 64)
		ts.Check(err)
		req.Path, req.Data = ledger.PathEntry, tx.MustEncode(ledger.ByIndex{Index: index})
	} else {
		for _, part := range args {
			b, err := s.bytes(part)
			ts.Check(err)
			req.Data = append(req.Data, b...)
		}
	}
	res := s.chain.Query(req)
	if res.Code != tx.CodeOK {
		ts.Fatalf("refused with %s", s.codeName(res.Code))
	}
	proof := res.ProofOps.Ops[0].Data
	if req.Path == ledger.PathEntry {
		var p state.EntryProof
		ts.Check(tx.DecodeAny(proof, &p, 1<<20))
		ts.Check(p.Verify(head.AppHash, index, res.Value))
		fmt.Fprintln(ts.Stdout(), "proved")
		return
	}
	var p state.KeyProof
	ts.Check(tx.DecodeAny(proof, &p, 1<<20))
	ts.Check(p.Verify(head.AppHash, req.Data, res.Value))
	if res.Value == nil {
		fmt.Fprintln(ts.Stdout(), "absent")
		return
	}
	fmt.Fprintln(ts.Stdout(), s.show(ts, res.Value, nil))
}

func (s *story) state(ts *testscript.TestScript, _ bool, _ []string) {
	v := s.chain.App(0).View()
	defer v.Close()
	m := v.Meta()
	fmt.Fprintf(ts.Stdout(), "height %d\ntime +%s\nlog %d\n", m.Height, time.Duration(m.Time-Start)*time.Second, m.LogSize)
}

func (s *story) restart(ts *testscript.TestScript, _ bool, _ []string) {
	s.chain.Restart(0)
	s.chain.Restart(1)
}

// encode makes CBOR of a query's argument: JSON of its type if that is known.
func (s *story) encode(ts *testscript.TestScript, text string, like any) []byte {
	if like == nil {
		v, err := s.diagnostic(text)
		ts.Check(err)
		return v
	}
	body, err := s.expand(text)
	ts.Check(err)
	v := fresh(like)
	ts.Check(strict(body, v))
	return tx.MustEncode(v)
}

// show prints CBOR: as JSON of its type if that is known, with names in the
// place of accounts and transaction ids.
func (s *story) show(ts *testscript.TestScript, b []byte, like any) string {
	if like == nil {
		text, err := cbor.Diagnose(b)
		ts.Check(err)
		for full, name := range s.names {
			if a, err := tx.ParseAccount(full); err == nil {
				text = strings.ReplaceAll(text, fmt.Sprintf("h'%x'", a[:]), name)
			}
			text = strings.ReplaceAll(text, "h'"+full+"'", name)
		}
		return text
	}
	v := fresh(like)
	ts.Check(tx.DecodeAny(b, v, 1<<26))
	j, err := json.Marshal(v)
	ts.Check(err)
	text := string(j)
	for full, name := range s.names {
		text = strings.ReplaceAll(text, full, name)
	}
	return text
}

func strict(body []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", body, err)
	}
	return nil
}

// goldens collects the app hashes that stories end with.
type goldens struct {
	path   string
	mu     sync.Mutex
	hashes map[string]string
}

func (g *goldens) add(story, hash string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hashes[story] = hash
}

func (g *goldens) check(t *testing.T) {
	old := map[string]string{}
	raw, err := os.ReadFile(g.path)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	for line := range strings.Lines(string(raw)) {
		if name, hash, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			old[name] = hash
		}
	}
	if !*update {
		for name, hash := range g.hashes {
			if old[name] != hash {
				t.Errorf("%s: ends with %q, %s says %q; if the state machine was meant to change, run with -update", name, hash, golden, old[name])
			}
		}
		return
	}
	maps.Copy(old, g.hashes)
	var out strings.Builder
	for _, name := range sorted(old) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(g.path), name+".txtar")); err == nil {
			fmt.Fprintf(&out, "%s %s\n", name, old[name])
		}
	}
	if err := os.WriteFile(g.path, []byte(out.String()), 0o644); err != nil {
		t.Error(err)
	}
}
