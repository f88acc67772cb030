package balp

import (
	"encoding/binary"
	"strconv"
	"time"

	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// Names say who somebody on the ledger is, as this member refers to them.
type Names interface {
	// Person is a practitioner, a device, a patient or a proxy.
	Person(account tx.Account) Who
	// Member is an organisation, with the address of its network interface.
	Member(account tx.Account) Who
}

// Accounts are the Names of a network that needs no other.
type Accounts struct{}

// Person implements Names.
func (Accounts) Person(a tx.Account) Who {
	return Who{System: SystemAccount, Value: a.String(), Address: "urn:salus:account:" + a.String()}
}

// Member implements Names.
func (Accounts) Member(a tx.Account) Who {
	return Who{Reference: "Organization/" + a.String(), System: SystemAccount, Value: a.String(), Address: "urn:salus:account:" + a.String()}
}

// TheLedger is the one of that chain id, as somebody who takes part.
func TheLedger(chain string) Who {
	return Who{System: "urn:salus:chain", Value: chain, Display: "the ledger", Address: "urn:salus:chain:" + chain}
}

// Ledger is how the entries of a patient's audit chain become events.
type Ledger struct {
	Chain   string // the ledger's chain id
	Names   Names  // Accounts{} if nil
	Patient Who    // as this member refers to her
	// Real are the slots that stand for a label in the patient's map: a session whose mask has none
	// was denied. All slots if she does not say.
	Real uint64
}

// Events turns a verified chain into events, the oldest first, one for each entry. What a session was
// opened for holds for its fetches, which name the session only.
func (l Ledger) Events(links []audit.Link) []Event {
	if l.Names == nil {
		l.Names = Accounts{}
	}
	if l.Real == 0 {
		l.Real = ^uint64(0)
	}
	out := make([]Event, 0, len(links))
	for i := range links {
		out = append(out, l.event(&links[i]))
	}
	return out
}

func (l *Ledger) event(k *audit.Link) Event {
	r := &k.Record
	ledger := TheLedger(l.Chain)
	e := Event{
		Time: time.Unix(int64(k.Time), 0).UTC(), Outcome: Success, User: l.Names.Person(r.Actor), Organization: l.Names.Member(r.Member),
		Client: l.Names.Member(r.Member), Server: ledger, Patient: l.Patient, Purposes: consent.PurposesOf(consent.Purpose(r.Purpose)),
		Ledger: &Place{Index: k.Index, Height: k.Height, Tx: k.Tx, Seq: r.Seq, Head: r.Prev},
	}
	if r.Actor == r.Member { // the organisation itself signed
		e.User = Who{}
	}
	if r.Actor == r.Patient {
		e.User = l.Patient
	}
	switch r.Action {
	case audit.SessionOpened:
		e.Kind, e.Session, e.List, e.Count = Decide, r.Ref, r.Root, r.Count
		e.Consents = []Who{{System: systemConsents, Value: r.Patient.String(), Display: "the patient's consents at that height"}}
		if r.Mask&l.Real == 0 {
			e.Outcome, e.Reason = Serious, "consent-nothing-permitted"
		}
	case audit.FetchCommitted:
		e.Kind, e.Session, e.List, e.Count = Disclose, r.Ref, r.Root, r.Count
		e.Recipient, e.Client = l.Names.Member(r.Member), Who{}
		e.What = strconv.FormatUint(uint64(r.Count), 10) + " records, committed before they were released"
	case audit.SessionClosed:
		e.Kind, e.Session = Logout, r.Ref
	case audit.ConsentGranted, audit.ConsentChanged, audit.ConsentRevoked:
		e.Kind = map[audit.Action]Kind{audit.ConsentGranted: Grant, audit.ConsentChanged: Amend, audit.ConsentRevoked: Revoke}[r.Action]
		e.Consents = []Who{grantNamed(r.Ref)}
	case audit.ProxyChanged:
		if e.Kind = Amend; r.Count == 0 {
			e.Kind = Revoke
		}
		proxy := l.Names.Person(tx.Account(r.Ref[:16]))
		proxy.Display = "proxy"
		e.Consents = []Who{proxy}
	case audit.EmergencyDeclared, audit.EmergencyWidened, audit.EmergencyExtended:
		e.Kind, e.Session, e.What = Override, r.Ref, r.Action.String()
		if r.Action == audit.EmergencyDeclared {
			e.What += ": " + emergency.Reason(r.Count).String()
		}
	case audit.EmergencyAttested:
		e.Kind, e.Session, e.What = Attest, r.Ref, r.Action.String()
	case audit.EmergencyReviewed:
		e.Kind, e.Session, e.What = Verify, r.Ref, r.Action.String()+": "+emergency.Verdict(r.Count).String()
	case audit.EmergencyDisputed:
		e.Kind, e.Session, e.What = Verify, r.Ref, r.Action.String()
	case audit.EmergencyOverdue: // by the block's time: her name is that of who owes it
		e.Kind, e.Session, e.What = Verify, r.Ref, r.Action.String()
		e.Outcome, e.Reason = Minor, "emergency-overdue"
	case audit.EmergencyDirective:
		e.Kind = Amend
		e.Consents = []Who{{System: systemConsents, Value: r.Patient.String(), Display: "what an emergency may open"}}
	case audit.ErasureRequested, audit.Erased, audit.ErasureRefused:
		e.Kind, e.What = Amend, r.Action.String()
		e.Consents = []Who{{System: systemConsents, Value: r.Patient.String(), Display: "what is kept at all"}}
	case audit.LookedUp:
		e.Kind, e.Session, e.What = Search, r.Ref, "an identifier led to the patient: lookup entry "+r.Ref.String()
	case audit.IdentifierEnrolled, audit.IdentifierForgotten, audit.CardIssued, audit.CardRevoked,
		audit.MergeProposed, audit.Merged, audit.Unmerged:
		e.Kind, e.What = Amend, r.Action.String()
		e.Consents = []Who{{System: systemConsents, Value: r.Patient.String(), Display: r.Action.String()}}
	case audit.Enrolled:
		e.Kind = Enrol
	case audit.RecoverySession:
		e.Kind, e.Session, e.What = Decide, r.Ref, r.Action.String()
	case audit.GuardiansNamed, audit.RecoveryRequested, audit.RecoveryApproved, audit.RecoveryCancelled, audit.RecoveryFinished, audit.RecoveryLapsed:
		e.Kind, e.What = Keys, r.Action.String()
		if r.Action != audit.GuardiansNamed {
			e.What += ": " + recovery.Kind(r.Count).String()
		}
		if r.Actor.IsZero() { // by the block's time
			e.User = Who{}
		}
	case audit.Claimed, audit.KeysChanged:
		e.Kind = Keys
	}
	return e
}

// grantNamed names a grant and its version; all of them for the zero reference.
func grantNamed(r tx.Hash) Who {
	if r == (tx.Hash{}) {
		return Who{System: systemGrantID, Value: "all", Display: "every grant that the signer may revoke"}
	}
	return Who{System: systemGrantID, Value: consent.GrantID(r[:16]).String() + "/" + strconv.FormatUint(binary.BigEndian.Uint64(r[16:]), 10)}
}
