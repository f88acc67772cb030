package emergency

import (
	"encoding/binary"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x09:
//
//	09 01 patient[16]             -> Directive
//	09 02 case[32]                -> Case
//	09 03 time[8] case[32]        -> duty: obligations not met yet, the next one due first
//	09 04 account[16]             -> Conduct
//	09 05 member[16]              -> Counts
//	09 06 actor[16] patient[16]   -> latest: the last case of this pair
//	09 07 case[32]                -> Flagged, if it has flags
//	09 08 member[16]              -> Escalated
var (
	directives = state.NewTable[Directive]("emergency directives", Prefix, 0x01)
	cases      = state.NewTable[Case]("emergency cases", Prefix, 0x02)
	duties     = state.NewTable[duty]("emergency duties", Prefix, 0x03)
	conducts   = state.NewTable[Conduct]("emergency conducts", Prefix, 0x04)
	counts     = state.NewTable[Counts]("emergency counts", Prefix, 0x05)
	pairs      = state.NewTable[latest]("emergency pairs", Prefix, 0x06)
	flagged    = state.NewTable[Flagged]("emergency flags", Prefix, 0x07)
	escalated  = state.NewTable[Escalated]("emergency escalations", Prefix, 0x08)
)

// duty is what a case owes at the time of its key: Attestation, Review or both.
type duty struct {
	What uint8 `cbor:"1,keyasint"`
}

type latest struct {
	Case tx.Hash `cbor:"1,keyasint"`
}

func dueAt(time uint64, id tx.Hash) []byte {
	return append(binary.BigEndian.AppendUint64(nil, time), id[:]...)
}

func pair(actor, patient tx.Account) []byte { return append(actor[:], patient[:]...) }

// LookupDirective returns the patient's directive.
func LookupDirective(r state.Reader, patient tx.Account) (Directive, bool) {
	return directives.Get(r, patient[:])
}

// Lookup returns the case of that id.
func Lookup(r state.Reader, id tx.Hash) (Case, bool) { return cases.Get(r, id[:]) }

// ConductOf returns where a practitioner stands; zero if she never declared.
func ConductOf(r state.Reader, account tx.Account) Conduct {
	c, _ := conducts.Get(r, account[:])
	return c
}

// CountsOf returns a member's public counts.
func CountsOf(r state.Reader, member tx.Account) Counts {
	c, _ := counts.Get(r, member[:])
	return c
}

// count changes a member's counts.
func count(w state.Writer, member tx.Account, change func(*Counts)) {
	c := CountsOf(w, member)
	change(&c)
	counts.Put(w, member[:], c)
}

// owe enters an obligation of a case into the queue, release takes it out.
func owe(w state.Writer, time uint64, id tx.Hash, what uint8) {
	d, _ := duties.Get(w, dueAt(time, id))
	d.What |= what
	duties.Put(w, dueAt(time, id), d)
}

func release(w state.Writer, time uint64, id tx.Hash, what uint8) {
	d, ok := duties.Get(w, dueAt(time, id))
	switch d.What &^= what; {
	case !ok:
	case d.What == 0:
		duties.Delete(w, dueAt(time, id))
	default:
		duties.Put(w, dueAt(time, id), d)
	}
}

func tables() []state.TableInfo {
	return []state.TableInfo{directives.Info(), cases.Info(), duties.Info(), conducts.Info(), counts.Info(), pairs.Info(), flagged.Info(), escalated.Info()}
}
