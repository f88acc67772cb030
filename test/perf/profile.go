package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Share is the part of a CPU profile whose stacks go through something. Shares overlap.
type Share struct {
	What    string  `json:"what"`
	Percent float64 `json:"percent"`
}

// A lens says what to look for in the stacks of a profile.
type lens struct {
	what  string
	stack *regexp.Regexp
	less  *regexp.Regexp // stacks that do not count; nil for none
}

func see(what, stack string) lens { return lens{what, regexp.MustCompile(stack), nil} }

// seeLess does not count stacks that go through less.
func seeLess(what, stack, less string) lens {
	return lens{what, regexp.MustCompile(stack), regexp.MustCompile(less)}
}

// application is code that CometBFT calls, ours or a baseline's.
const application = `^salus/ledger\.|^main\.\(\*signedOnly\)|^github\.com/cometbft/cometbft/abci/example`

// lenses by the first part of a profile's name.
var lenses = map[string][]lens{
	"ledger": ledgerLenses, "kvstore": ledgerLenses, "signed": ledgerLenses, "growth": ledgerLenses, "decisions": ledgerLenses, "offered": ledgerLenses,
	"import": roomLenses, "writes": roomLenses, "readers": roomLenses,
}

// ledgerLenses are for validators without the other rooms.
var ledgerLenses = []lens{
	see("Ed25519 of transactions", `^crypto/ed25519\.[vV]erify`),
	see("decoding and encoding CBOR", `^github\.com/fxamacker/cbor/`),
	see("reading and deciding by grants", `^salus/ledger/module/consent\.`),
	see("`CheckTx`", `^salus/ledger\.\(\*App\)\.CheckTx$`),
	see("`PrepareProposal`", `^salus/ledger\.\(\*App\)\.PrepareProposal$`),
	see("`ProcessProposal`", `^salus/ledger\.\(\*App\)\.ProcessProposal$`),
	see("`FinalizeBlock` and `Commit`", `^salus/ledger\.\(\*App\)\.(FinalizeBlock|Commit)$`),
	see("tree and log", `^salus/ledger/state\.\(\*Store\)\.(Stage|Commit)$`),
	see("reads of the store", `^github\.com/cockroachdb/pebble\.\(\*(Snapshot|DB)\)\.(Get|getInternal|NewIter)`),
	see("flushes and compactions of the store", `^github\.com/cockroachdb/pebble\.\(\*DB\)\.(flush1|compact1|runCompaction)`),
	seeLess("CometBFT: mempool and gossip of transactions", `^github\.com/cometbft/cometbft/mempool\.`, application),
	seeLess("CometBFT: consensus, blocks and votes", `^github\.com/cometbft/cometbft/(consensus|state|store)\.`, application),
	see("votes: signing them and remembering on disk what was signed", `^github\.com/cometbft/cometbft/privval\.`),
	see("write-ahead log of consensus", `^github\.com/cometbft/cometbft/consensus\.\(\*BaseWAL\)`),
	see("connections between validators (encryption, framing)", `^github\.com/cometbft/cometbft/p2p/conn\.\(\*SecretConnection\)|^github\.com/cometbft/cometbft/p2p/conn\.\(\*Channel\)`),
	see("votes: verifying the others'", `^github\.com/cometbft/cometbft/crypto/ed25519\.`),
	see("consensus gossip (loops that look for news every 2 ms)", `^github\.com/cometbft/cometbft/consensus\.\(\*Reactor\)\.(gossip|query)`),
	see("waking and putting to sleep (the scheduler, timers)", `^runtime\.(schedule|findRunnable|park_m|goschedImpl|checkTimers)`),
	see("garbage collection", `^runtime\.gcBgMarkWorker$|^runtime\.gcAssistAlloc$|^runtime\.bgsweep$`),
	see("system calls", `^(internal/runtime/)?syscall\.(Raw)?Syscall|^internal/runtime/syscall`),
}

// roomLenses are for the whole network.
var roomLenses = []lens{
	see("compression", `^salus/seal/compress\.`),
	see("key shares and Pedersen commitments", `^salus/threshold`),
	see("hybrid envelopes (HPKE)", `^crypto/hpke\.|^salus/seal\..*[Ee]nvelope`),
	see("consensus and the state machine", `^github\.com/cometbft/cometbft/|^salus/ledger\.`),
	see("FHIR: parsing, labels", `^salus/fhir`),
	see("TLS and HTTP", `^crypto/tls\.|^net/http\.`),
	see("Pebble", `^github\.com/cockroachdb/pebble`),
	see("consensus gossip (loops that look for news every 2 ms)", `^github\.com/cometbft/cometbft/consensus\.\(\*Reactor\)\.(gossip|query)`),
	see("waking and putting to sleep (the scheduler, timers)", `^runtime\.(schedule|findRunnable|park_m|goschedImpl|checkTimers)`),
	see("garbage collection", `^runtime\.gcBgMarkWorker$|^runtime\.gcAssistAlloc$|^runtime\.bgsweep$`),
	see("system calls", `^(internal/runtime/)?syscall\.(Raw)?Syscall|^internal/runtime/syscall`),
}

// shares reads the profiles that a measurement wrote since a moment.
func (b *bench) shares(ctx context.Context, since time.Time) map[string][]Share {
	out := map[string][]Share{}
	for name, at := range b.profiles {
		kind, _, _ := strings.Cut(name, "-")
		ls := lenses[kind]
		if at.Before(since) || ls == nil {
			continue
		}
		raw, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-traces", filepath.Join(b.profile, name+".pprof")).Output() //nolint:gosec // our own file
		if err != nil {
			b.log("   profile %s: %v", name, err)
			continue
		}
		out[name] = sharesOf(parseTraces(raw), ls)
	}
	return out
}

// A trace is one stack with the time spent in it.
type trace struct {
	took  time.Duration
	stack []string
}

// parseTraces reads what `go tool pprof -traces` prints.
func parseTraces(raw []byte) []trace {
	var out []trace
	body := false
	for s := bufio.NewScanner(bytes.NewReader(raw)); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "-----------+") {
			out, body = append(out, trace{}), true
			continue
		}
		f := strings.Fields(strings.TrimSuffix(line, " (inline)"))
		if !body || len(f) == 0 {
			continue
		}
		t := &out[len(out)-1]
		if len(t.stack) == 0 && len(f) > 1 {
			t.took, _ = parseTook(f[0])
			f = f[1:]
		}
		t.stack = append(t.stack, strings.Join(f, " "))
	}
	return out
}

// parseTook reads a time as pprof writes it.
func parseTook(s string) (time.Duration, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	if m, ok := strings.CutSuffix(s, "mins"); ok {
		x, err := strconv.ParseFloat(m, 64)
		return time.Duration(x * float64(time.Minute)), err
	}
	return 0, fmt.Errorf("perf: %q is no time", s)
}

// sharesOf adds up the traces that each lens sees.
func sharesOf(ts []trace, ls []lens) []Share {
	var total time.Duration
	sums := make([]time.Duration, len(ls))
	for _, t := range ts {
		total += t.took
		for i, l := range ls {
			if slices.ContainsFunc(t.stack, l.stack.MatchString) && (l.less == nil || !slices.ContainsFunc(t.stack, l.less.MatchString)) {
				sums[i] += t.took
			}
		}
	}
	var out []Share
	for i, l := range ls {
		if total > 0 {
			out = append(out, Share{l.what, 100 * float64(sums[i]) / float64(total)})
		}
	}
	return out
}
