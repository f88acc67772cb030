package consent

import (
	"encoding/json"
	"errors"
	"math/bits"
)

// A Purpose is a purpose of use from HL7 v3 ActReason, value set PurposeOfUse
// (http://terminology.hl7.org/CodeSystem/v3-ActReason). The numbers are this
// ledger's and never change; spec/consent.md has the table.
type Purpose uint8

// The purposes. The names are the HL7 codes.
const (
	TREAT        Purpose = 1
	ETREAT       Purpose = 2
	BTG          Purpose = 3
	ERTREAT      Purpose = 4
	CLINTRL      Purpose = 5
	COC          Purpose = 6
	POPHLTH      Purpose = 7
	TREATDS      Purpose = 8
	HPAYMT       Purpose = 9
	HOPERAT      Purpose = 10
	HRESCH       Purpose = 11
	CLINTRCH     Purpose = 12
	DSRCH        Purpose = 13
	PUBHLTH      Purpose = 14
	PATRQT       Purpose = 15
	FAMRQT       Purpose = 16
	PWATRNY      Purpose = 17
	HMARKT       Purpose = 18
	CAREMGT      Purpose = 19
	HLEGAL       Purpose = 20
	SUPNWK       Purpose = 21
	DISASTER     Purpose = 22
	THREAT       Purpose = 23
	BIORCH       Purpose = 24
	CLINTRCHNPC  Purpose = 25
	CLINTRCHPC   Purpose = 26
	PRECLINTRCH  Purpose = 27
	POARCH       Purpose = 28
	TRANSRCH     Purpose = 29
	CLMATTCH     Purpose = 30
	COVAUTH      Purpose = 31
	COVERAGE     Purpose = 32
	ELIGDTRM     Purpose = 33
	ELIGVER      Purpose = 34
	ENROLLM      Purpose = 35
	REMITADV     Purpose = 36
	PMTDS        Purpose = 37
	DONAT        Purpose = 38
	FRAUD        Purpose = 39
	GOV          Purpose = 40
	HACCRED      Purpose = 41
	HCOMPL       Purpose = 42
	HDECD        Purpose = 43
	HDIRECT      Purpose = 44
	HDM          Purpose = 45
	HOUTCOMS     Purpose = 46
	HPRGRP       Purpose = 47
	HQUALIMP     Purpose = 48
	HSYSADMIN    Purpose = 49
	MEMADMIN     Purpose = 50
	MILCDM       Purpose = 51
	PATADMIN     Purpose = 52
	PATSFTY      Purpose = 53
	PERFMSR      Purpose = 54
	RECORDMGT    Purpose = 55
	SYSDEV       Purpose = 56
	HTEST        Purpose = 57
	TRAIN        Purpose = 58
	MLTRAINING   Purpose = 59
	purposeCount         = 59
)

// purposes gives each purpose its HL7 code and its parent in the HL7 tree.
var purposes = [purposeCount + 1]struct {
	code   string
	parent Purpose
}{
	TREAT: {"TREAT", 0}, ETREAT: {"ETREAT", TREAT}, BTG: {"BTG", ETREAT}, ERTREAT: {"ERTREAT", ETREAT},
	CLINTRL: {"CLINTRL", TREAT}, COC: {"COC", TREAT}, POPHLTH: {"POPHLTH", TREAT}, TREATDS: {"TREATDS", TREAT},

	HPAYMT: {"HPAYMT", 0}, CLMATTCH: {"CLMATTCH", HPAYMT}, COVAUTH: {"COVAUTH", HPAYMT}, COVERAGE: {"COVERAGE", HPAYMT},
	ELIGDTRM: {"ELIGDTRM", COVERAGE}, ELIGVER: {"ELIGVER", COVERAGE}, ENROLLM: {"ENROLLM", COVERAGE},
	REMITADV: {"REMITADV", HPAYMT}, PMTDS: {"PMTDS", HPAYMT},

	HOPERAT: {"HOPERAT", 0}, CAREMGT: {"CAREMGT", HOPERAT}, DONAT: {"DONAT", HOPERAT}, FRAUD: {"FRAUD", HOPERAT},
	GOV: {"GOV", HOPERAT}, HACCRED: {"HACCRED", HOPERAT}, HCOMPL: {"HCOMPL", HOPERAT}, HDECD: {"HDECD", HOPERAT},
	HDIRECT: {"HDIRECT", HOPERAT}, HDM: {"HDM", HOPERAT}, HLEGAL: {"HLEGAL", HOPERAT}, HOUTCOMS: {"HOUTCOMS", HOPERAT},
	HPRGRP: {"HPRGRP", HOPERAT}, HQUALIMP: {"HQUALIMP", HOPERAT}, HSYSADMIN: {"HSYSADMIN", HOPERAT},
	MEMADMIN: {"MEMADMIN", HOPERAT}, MILCDM: {"MILCDM", HOPERAT}, PATADMIN: {"PATADMIN", HOPERAT},
	PATSFTY: {"PATSFTY", HOPERAT}, PERFMSR: {"PERFMSR", HOPERAT}, RECORDMGT: {"RECORDMGT", HOPERAT},
	SYSDEV: {"SYSDEV", HOPERAT}, HTEST: {"HTEST", SYSDEV}, TRAIN: {"TRAIN", HOPERAT}, MLTRAINING: {"MLTRAINING", HOPERAT},

	HRESCH: {"HRESCH", 0}, BIORCH: {"BIORCH", HRESCH}, CLINTRCH: {"CLINTRCH", HRESCH}, DSRCH: {"DSRCH", HRESCH},
	CLINTRCHNPC: {"CLINTRCHNPC", CLINTRCH}, CLINTRCHPC: {"CLINTRCHPC", CLINTRCH}, PRECLINTRCH: {"PRECLINTRCH", CLINTRCH},
	POARCH: {"POARCH", HRESCH}, TRANSRCH: {"TRANSRCH", HRESCH},

	PUBHLTH: {"PUBHLTH", 0}, DISASTER: {"DISASTER", PUBHLTH}, THREAT: {"THREAT", PUBHLTH},

	PATRQT: {"PATRQT", 0}, FAMRQT: {"FAMRQT", PATRQT}, PWATRNY: {"PWATRNY", PATRQT}, SUPNWK: {"SUPNWK", PATRQT},

	HMARKT: {"HMARKT", 0},
}

var errPurpose = errors.New("consent: not a code of HL7 v3 PurposeOfUse")

// Known reports whether p is one of the purposes above.
func (p Purpose) Known() bool { return p >= 1 && p <= purposeCount }

// Emergency reports whether p is ETREAT, BTG or ERTREAT. In the HL7 tree they
// lie under TREAT; here no other purpose ever implies them.
func (p Purpose) Emergency() bool { return p == ETREAT || p == BTG || p == ERTREAT }

// Personal reports whether p is PATRQT or lies under it: the patient, or
// somebody in her place, reads her own record.
func (p Purpose) Personal() bool {
	return p.Known() && (p == PATRQT || purposes[p].parent == PATRQT)
}

// Parent returns the purpose above p in the HL7 tree, 0 at the top.
func (p Purpose) Parent() Purpose {
	if !p.Known() {
		return 0
	}
	return purposes[p].parent
}

// String returns the HL7 code, "unknown" for a number without one.
func (p Purpose) String() string {
	if !p.Known() {
		return "unknown"
	}
	return purposes[p].code
}

// ParsePurpose returns the purpose with that HL7 code. Codes are case sensitive.
func ParsePurpose(code string) (Purpose, error) {
	for p := TREAT; p <= purposeCount; p++ {
		if purposes[p].code == code {
			return p, nil
		}
	}
	return 0, errPurpose
}

// MarshalText writes the HL7 code; it fails for an unknown purpose.
func (p Purpose) MarshalText() ([]byte, error) {
	if !p.Known() {
		return nil, errPurpose
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads an HL7 code.
func (p *Purpose) UnmarshalText(b []byte) error {
	q, err := ParsePurpose(string(b))
	if err == nil {
		*p = q
	}
	return err
}

// Purposes is a set of purposes: bit n is Purpose n. Bit 0 and the bits above
// the last purpose are never set.
type Purposes uint64

// PurposesOf returns the set of the given purposes; unknown ones are left out.
func PurposesOf(ps ...Purpose) Purposes {
	var s Purposes
	for _, p := range ps {
		if p.Known() {
			s |= 1 << p
		}
	}
	return s
}

// allPurposes is the set of every known purpose.
const allPurposes Purposes = 1<<(purposeCount+1) - 2

// Has reports whether p is named in the set itself.
func (s Purposes) Has(p Purpose) bool { return p.Known() && s&(1<<p) != 0 }

// Known reports whether the set holds only known purposes and at least one.
func (s Purposes) Known() bool { return s != 0 && s&^allPurposes == 0 }

// List returns the purposes of the set in the order of their numbers.
func (s Purposes) List() []Purpose {
	list := make([]Purpose, 0, bits.OnesCount64(uint64(s)))
	for p := TREAT; p <= purposeCount; p++ {
		if s.Has(p) {
			list = append(list, p)
		}
	}
	return list
}

// Covers reports whether the set allows p: p is named in it, or a purpose above
// p in the HL7 tree is. ETREAT, BTG and ERTREAT are covered only when named
// themselves: consent to treatment never opens the emergency door.
func Covers(s Purposes, p Purpose) bool {
	if s.Has(p) {
		return true
	}
	if p.Emergency() {
		return false
	}
	for up := p.Parent(); up != 0; up = up.Parent() {
		if s.Has(up) {
			return true
		}
	}
	return false
}

// Allows reports whether s covers every purpose that is named in sub.
func (s Purposes) Allows(sub Purposes) bool {
	for _, p := range sub.List() {
		if !Covers(s, p) {
			return false
		}
	}
	return sub&^allPurposes == 0
}

// MarshalJSON writes the set as a list of HL7 codes.
func (s Purposes) MarshalJSON() ([]byte, error) {
	if s&^allPurposes != 0 {
		return nil, errPurpose
	}
	return json.Marshal(s.List())
}

// UnmarshalJSON reads a list of HL7 codes.
func (s *Purposes) UnmarshalJSON(b []byte) error {
	var list []Purpose
	if err := json.Unmarshal(b, &list); err != nil {
		return err
	}
	*s = PurposesOf(list...)
	return nil
}
