package node

import (
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"path/filepath"
	"strings"

	"salus/client"
	"salus/config"
	"salus/fhir"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/gateway/oversight"
	"salus/gateway/pcf"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
	"salus/seal"
)

// journalDir is where the gateway's journal is, journalKey what it is sealed under.
func journalDir(c *config.Config) string { return filepath.Join(c.Data("fhir"), "journal") }

func journalKey(k *keys) [32]byte { return seal.Sum("journal", k.store[:]) }

// openOversight opens what stands in front of the FHIR server: consents on the ledger, and the log.
func (n *Node) openOversight(keys *keys, member *client.Submitter, callers *callers, next http.Handler) (*oversight.Service, error) {
	journal, err := balp.OpenJournal(journalDir(n.cfg), journalKey(keys))
	if err != nil {
		return nil, err
	}
	n.onClose(journal.Close)
	papers, err := pcf.OpenFolder(filepath.Join(n.cfg.Data("fhir"), "papers"), keys.store)
	if err != nil {
		return nil, err
	}
	register, err := balp.OpenRegister(filepath.Join(n.cfg.Data("fhir"), "accounting"), seal.Sum("accounting", keys.store[:]))
	if err != nil {
		return nil, err
	}
	names := &directory{record: n.record, staff: staff{n.cfg}}
	here := balp.Who{System: "urn:salus:member", Value: n.cfg.Member.String(), Display: n.cfg.Name}
	var alias func(balp.Who) balp.Who
	if n.cfg.FHIR.StaffPseudonyms {
		alias = names.alias(seal.Sum("staff-pseudonyms", keys.store[:]))
	}
	return oversight.New(oversight.Config{
		Next: next, Base: n.cfg.FHIRBase(), Prefix: "/fhir", Asker: callers.asker, Known: n.record.Known, Patients: names.patients,
		Consents: &pcf.Service{
			Chain: pcf.Replica{View: n.app.View}, Papers: papers, Directory: names,
			Slots: func(_ context.Context, patient tx.Account) (*record.SlotMap, error) {
				m, err := n.record.SlotMap(patient)
				if errors.Is(err, record.ErrNotSteward) || errors.Is(err, record.ErrUnknownPatient) {
					return nil, pcf.ErrSlots
				}
				return m, err
			},
		},
		Steward: member,
		Events: &balp.Reader{
			Recorder: &balp.Recorder{Journal: journal, Site: balp.Site{Name: n.cfg.Name, Observer: here}},
			Chain:    n.client.Chain(), Names: people{directory: names}, Register: register, Alias: alias,
			Log: func(_ context.Context, patient tx.Account) ([]audit.Link, error) {
				v := n.app.View()
				defer v.Close()
				links, _, err := record.Log(v, patient)
				return links, err
			},
		},
		Real: func(patient tx.Account) uint64 {
			m, err := n.record.SlotMap(patient)
			if err != nil {
				return 0
			}
			mask, err := m.Mask(fhir.AllLabels())
			if err != nil {
				return 0
			}
			return mask
		},
		Organization: here, Log: n.log,
	})
}

// asker is a caller with the person behind her.
func (c *callers) asker(r *http.Request) (a oversight.Asker, err error) {
	if a.Caller, err = c.caller(r); err != nil {
		return a, err
	}
	a.Operator = gateway.Bearer(r, c.token)
	switch {
	case a.Name != "":
		a.User = balp.Who{Reference: "Practitioner/" + a.Name, Display: a.Name}
	case !a.Operator:
		if t, err := c.smart.Authenticate(r); err == nil && t.FHIRUser != "" {
			a.User = balp.Who{Reference: t.FHIRUser}
		}
	}
	return a, nil
}

// directory says who a reference of this organisation is on the ledger, and back.
type directory struct {
	pcf.Accounts

	record *record.Service
	staff  staff
}

// patients are the references of those who are known.
func (d *directory) patients() (refs []string, err error) {
	list, err := d.record.Patients()
	for _, p := range list {
		if strings.HasPrefix(p.Reference, "Patient/") {
			refs = append(refs, p.Reference)
		}
	}
	return refs, err
}

// referenceOf is a patient's reference here; "" for anybody else.
func (d *directory) referenceOf(account tx.Account) string {
	if ref, err := d.record.Reference(account); err == nil && strings.HasPrefix(ref, "Patient/") {
		return ref
	}
	return ""
}

// alias gives this organisation's practitioners pseudonyms: their accounts, or what the key makes of the reference
// of one who has none.
func (d *directory) alias(key [32]byte) func(balp.Who) balp.Who {
	return func(w balp.Who) balp.Who {
		if !strings.HasPrefix(w.Reference, "Practitioner") { // or PractitionerRole
			return w
		}
		if s, err := d.staff.Signer(strings.TrimPrefix(w.Reference, "Practitioner/")); err == nil {
			return balp.Accounts{}.Person(s.Account())
		}
		sum := seal.Sum("staff-pseudonym", key[:], []byte(w.Reference))
		return balp.Who{System: "urn:salus:staff", Value: hex.EncodeToString(sum[:16])}
	}
}

// Person implements pcf.Directory.
func (d *directory) Person(ref pcf.Reference) (tx.Account, bool) {
	if strings.HasPrefix(ref.Reference, "Patient/") {
		if a, err := d.record.Known(ref.Reference); err == nil {
			return a, true
		}
	}
	return d.Accounts.Person(ref)
}

// Grantee implements pcf.Directory: this organisation's practitioners go by the names of their keys.
func (d *directory) Grantee(ref pcf.Reference) (consent.Grantee, bool) {
	if name, ok := strings.CutPrefix(ref.Reference, "Practitioner/"); ok {
		if x, err := d.staff.Signer(name); err == nil {
			return consent.Grantee{Kind: consent.OnePractitioner, Account: x.Account()}, true
		}
	}
	return d.Accounts.Grantee(ref)
}

// Agent implements pcf.Directory.
func (d *directory) Agent(account tx.Account, resourceType string) pcf.Reference {
	if resourceType == "Patient" {
		if ref := d.referenceOf(account); ref != "" {
			return pcf.Reference{Reference: ref}
		}
	}
	return d.Accounts.Agent(account, resourceType)
}

// people are the names in the log.
type people struct {
	balp.Accounts

	directory *directory
}

// Person implements balp.Names.
func (p people) Person(account tx.Account) balp.Who {
	if ref := p.directory.referenceOf(account); ref != "" {
		return balp.Who{Reference: ref}
	}
	return p.Accounts.Person(account)
}
