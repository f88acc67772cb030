package balp

import (
	"time"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A Kind says what happened.
type Kind string

// The kinds. The first are interactions of the gateway, the last are the ledger's.
const (
	Create    Kind = "create"
	Read      Kind = "read"
	VRead     Kind = "vread"
	Update    Kind = "update"
	Patch     Kind = "patch"
	Delete    Kind = "delete"
	Search    Kind = "search-type"
	SearchAll Kind = "search-system"
	History   Kind = "history-instance"
	Operation Kind = "operation"
	Batch     Kind = "batch"
	Whole     Kind = "transaction"

	Disclose Kind = "disclose" // data left: this member or the network is the source
	Receive  Kind = "receive"  // data came: this member is the recipient
	Export   Kind = "export"   // bulk, of many patients
	Login    Kind = "login"    // a token was asked for
	Logout   Kind = "logout"   // a token or session ended
	Decide   Kind = "decide"   // consent was asked what it permits
	Override Kind = "override" // emergency access began, was widened or extended
	Attest   Kind = "attest"   // who declared an emergency gave account of it
	Verify   Kind = "verify"   // an emergency was reviewed or disputed, or what it owed became overdue

	Grant  Kind = "grant"  // a consent was given
	Amend  Kind = "amend"  // a consent or a proxy was changed
	Revoke Kind = "revoke" // a consent or a proxy was ended
	Enrol  Kind = "enrol"  // a patient was enrolled
	Keys   Kind = "keys"   // a patient's keys were claimed or changed
)

// An Outcome is a code of R4 audit-event-outcome.
type Outcome string

// The outcomes.
const (
	Success Outcome = "0"
	Minor   Outcome = "4" // the request was wrong, or there was no such thing
	Serious Outcome = "8" // it was denied
	Major   Outcome = "12"
)

// OutcomeOf is the outcome of an HTTP status.
func OutcomeOf(status int) Outcome {
	switch {
	case status == 401, status == 403:
		return Serious
	case status >= 500:
		return Major
	case status >= 400:
		return Minor
	}
	return Success
}

// A Who is somebody or something that took part.
type Who struct {
	Reference string `json:"reference,omitempty"` // "Practitioner/x"
	System    string `json:"system,omitempty"`    // of an identifier
	Value     string `json:"value,omitempty"`
	Display   string `json:"display,omitempty"`
	Address   string `json:"address,omitempty"` // IP address, host name or URI
}

func (w Who) known() bool { return w.Reference != "" || w.Value != "" || w.Display != "" }

// A Place is where the ledger has an entry.
type Place struct {
	Index  uint64  `json:"index"` // in the log
	Height uint64  `json:"height"`
	Tx     tx.Hash `json:"tx"`
	Seq    uint64  `json:"seq"`  // in the patient's audit chain
	Head   tx.Hash `json:"head"` // of that chain before this entry
}

// An Event is one thing that happened. It holds no clinical value; Query is as it was asked.
type Event struct {
	Kind    Kind      `json:"kind"`
	Time    time.Time `json:"time"` // when it was recorded: what the journal is ordered and searched by
	Outcome Outcome   `json:"outcome"`
	Reason  string    `json:"reason,omitempty"` // of a failure: a stable code, never a sentence with data

	User         Who              `json:"user,omitzero"`         // a person; zero for a system alone
	Organization Who              `json:"organization,omitzero"` // the user's
	Client       Who              `json:"client,omitzero"`       // the application that asked
	Server       Who              `json:"server,omitzero"`       // who was asked; the recorder's own if zero
	Recipient    Who              `json:"recipient,omitzero"`    // of a disclosure
	Token        string           `json:"token,omitempty"`       // its id (jti), never the token
	Purposes     consent.Purposes `json:"purposes,omitempty"`

	Patient   Who      `json:"patient,omitzero"`    // one: what concerns several is an event for each
	Resources []string `json:"resources,omitempty"` // "Observation/x/_history/2"; of a single interaction one
	Query     string   `json:"query,omitempty"`     // "GET [base]/Observation?code=..."
	Request   string   `json:"request,omitempty"`   // X-Request-Id
	Consents  []Who    `json:"consents,omitempty"`  // that decided

	Session tx.Hash           `json:"session,omitzero"`
	Grants  []consent.GrantID `json:"grants,omitempty"`
	List    tx.Hash           `json:"list,omitzero"` // root of a committed list of records
	Count   uint32            `json:"count,omitempty"`
	Ledger  *Place            `json:"ledger,omitempty"`

	// Of a disclosure, for the accounting: a few words on what, and why it need not be accounted for.
	What  string `json:"what,omitempty"`
	Basis Basis  `json:"basis,omitempty"`
	Study string `json:"study,omitempty"` // protocol of research on 50 persons or more (164.528(b)(4))
	// On is the day, "2006-01-02", of what happened elsewhere and was recorded later: by letter, by telephone.
	On string `json:"on,omitempty"`
}

// happened is when it did: Time, or the beginning of the day, in UTC, that was said.
func (e *Event) happened() time.Time {
	if at, err := time.Parse(time.DateOnly, e.On); err == nil {
		return at
	}
	return e.Time
}

// A Basis says why a disclosure is not accounted for (45 CFR 164.528(a)(1)).
type Basis string

// The bases. Accountable is none of them.
const (
	Accountable      Basis = ""
	TPO              Basis = "treatment-payment-operations"
	ToIndividual     Basis = "to-the-individual"
	Incidental       Basis = "incidental"
	Authorized       Basis = "authorization"
	Directory        Basis = "directory-or-care"
	NationalSecurity Basis = "national-security"
	Custody          Basis = "correctional-or-custody"
	LimitedDataSet   Basis = "limited-data-set"
)

// Bases are all of them.
var Bases = []Basis{Accountable, TPO, ToIndividual, Incidental, Authorized, Directory, NationalSecurity, Custody, LimitedDataSet}
