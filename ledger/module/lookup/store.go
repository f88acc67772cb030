package lookup

import (
	"encoding/binary"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x0c:
//
//	0c 01                        -> Key in force
//	0c 02                        -> the last Ceremony
//	0c 03 ceremony[8] dealer[1]  -> Dealt
//	0c 04 ceremony[8] dealer[1] recipient[1] -> Opened
//	0c 05 entry[32]              -> Entry
//	0c 06 entry[32]              -> Resolve: pointers that are being opened
//	0c 07 entry[32] index[1]     -> Open: one custodian's part in it
//	0c 08 account[16]            -> Usage of a practitioner or member
//	0c 09 member[16]             -> Counts
//	0c 0a card[32]               -> Card
var (
	keys     = state.NewTable[Key]("lookup key", Prefix, 0x01)
	ceremony = state.NewTable[Ceremony]("lookup ceremony", Prefix, 0x02)
	dealings = state.NewTable[Dealt]("lookup dealings", Prefix, 0x03)
	answers  = state.NewTable[Opened]("lookup answers", Prefix, 0x04)
	asked    = state.NewTable[Entry]("lookup entries", Prefix, 0x05)
	opening  = state.NewTable[Resolve]("lookup openings", Prefix, 0x06)
	parts    = state.NewTable[Open]("lookup parts", Prefix, 0x07)
	usages   = state.NewTable[Usage]("lookup usages", Prefix, 0x08)
	counts   = state.NewTable[Counts]("lookup counts", Prefix, 0x09)
	cards    = state.NewTable[Card]("lookup cards", Prefix, 0x0a)
)

func dealtBy(ceremony uint64, dealer int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, ceremony), byte(dealer))
}

func answeredTo(ceremony uint64, dealer, recipient int) []byte {
	return append(dealtBy(ceremony, dealer), byte(recipient))
}

func partOf(entry tx.Hash, index int) []byte { return append(entry[:], byte(index)) }

// Current returns the key in force.
func Current(r state.Reader) (Key, bool) { return keys.Get(r, nil) }

// LastCeremony returns the ceremony that runs, or ran last.
func LastCeremony(r state.Reader) (Ceremony, bool) { return ceremony.Get(r, nil) }

// DealtBy returns what a dealer of a ceremony, counted from 1, committed to.
func DealtBy(r state.Reader, number uint64, dealer int) (Dealt, bool) {
	return dealings.Get(r, dealtBy(number, dealer))
}

// Answered returns the shares that a dealer opened for a recipient that complained.
func Answered(r state.Reader, number uint64, dealer, recipient int) (Opened, bool) {
	return answers.Get(r, answeredTo(number, dealer, recipient))
}

// Lookup returns the entry of that id.
func Lookup(r state.Reader, id tx.Hash) (Entry, bool) { return asked.Get(r, id[:]) }

// Waiting returns at most limit resolutions that wait for the custodians, and for each
// whether custodian index of the key of that number has done its part.
func Waiting(r state.Reader, number uint64, index, limit int) []Resolve {
	var all, out []Resolve
	opening.Scan(r, nil, func(_ []byte, m Resolve) bool { all = append(all, m); return len(all) < limit })
	for _, m := range all {
		if p, ok := parts.Get(r, partOf(m.Entry, index)); !ok || p.Key != number {
			out = append(out, m)
		}
	}
	return out
}

// LookupCard returns the card of that hash.
func LookupCard(r state.Reader, card tx.Hash) (Card, bool) { return cards.Get(r, card[:]) }

// CountsOf returns a member's public counts.
func CountsOf(r state.Reader, member tx.Account) Counts {
	c, _ := counts.Get(r, member[:])
	return c
}

func count(w state.Writer, member tx.Account, change func(*Counts)) {
	c := CountsOf(w, member)
	change(&c)
	counts.Put(w, member[:], c)
}

func tables() []state.TableInfo {
	return []state.TableInfo{
		keys.Info(), ceremony.Info(), dealings.Info(), answers.Info(), asked.Info(), opening.Info(), parts.Info(),
		usages.Info(), counts.Info(), cards.Info(),
	}
}
