package emergency

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Flags say why a case is to be looked at sooner. A flagged case is escalated: its review is due when its attestation is. They
// are public, and say nothing about whether it was justified.
type Flags uint8

// The flags that the ledger can see by itself.
const (
	Often   Flags = 1 // more than half of emergencyQuota by this practitioner in 24 hours, and no disaster
	Again   Flags = 2 // the same practitioner about the same patient within 30 days
	Doubted Flags = 4 // and that last one was not found justified
)

// again is for how long a practitioner's last case about a patient makes another one flagged, seconds.
const again = 30 * 24 * 3600

// Strings lists the flags as words.
func (f Flags) Strings() (out []string) {
	for i, name := range []string{"often", "again", "doubted"} {
		if f&(1<<i) != 0 {
			out = append(out, name)
		}
	}
	return out
}

// Flagged is the row of a case that has flags.
type Flagged struct {
	Flags Flags `cbor:"1,keyasint" json:"flags"`
}

// Escalated counts a member's cases with flags since ever.
type Escalated struct {
	Cases   uint64 `cbor:"1,keyasint" json:"cases"`
	Often   uint64 `cbor:"2,keyasint" json:"often"`
	Again   uint64 `cbor:"3,keyasint" json:"again"`
	Doubted uint64 `cbor:"4,keyasint" json:"doubted"`
}

// FlagsOf returns the flags of a case.
func FlagsOf(r state.Reader, id tx.Hash) Flags {
	f, _ := flagged.Get(r, id[:])
	return f.Flags
}

// EscalatedOf returns a member's counts of cases with flags.
func EscalatedOf(r state.Reader, member tx.Account) Escalated {
	e, _ := escalated.Get(r, member[:])
	return e
}

// flagsFor are those of a case that is declared at now, with recent declarations in 24 hours, this one among them.
func flagsFor(r state.Reader, actor, patient tx.Account, declared, quota uint64, disaster bool, now uint64) (f Flags) {
	if declared > quota/2 && !disaster {
		f |= Often
	}
	l, ok := pairs.Get(r, pair(actor, patient))
	if !ok {
		return f
	}
	if last, ok := Lookup(r, l.Case); ok && now < last.Declared+again {
		f |= Again
		if last.Verdict == Unjustified || last.Verdict == Inconclusive {
			f |= Doubted
		}
	}
	return f
}

// flag keeps the flags of a case and counts them.
func flag(w state.Writer, e *Case, f Flags) {
	if f == 0 {
		return
	}
	flagged.Put(w, e.ID[:], Flagged{f})
	n := EscalatedOf(w, e.Member)
	n.Cases++
	if f&Often != 0 {
		n.Often++
	}
	if f&Again != 0 {
		n.Again++
	}
	if f&Doubted != 0 {
		n.Doubted++
	}
	escalated.Put(w, e.Member[:], n)
}
