package pcf

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"salus/client"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// A Submitter signs as somebody and waits for the commit: the patient, a proxy, or the steward.
type Submitter interface {
	Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error)
}

// A Service keeps patients' Consents on the ledger. It holds none itself. It is safe for concurrent
// use: of two changes at the same time the ledger refuses one by the version of the grant.
type Service struct {
	Chain Chain
	// Slots finds a patient's slot map, with her wallet or as her steward.
	Slots  func(ctx context.Context, patient tx.Account) (*record.SlotMap, error)
	Papers Papers // nil keeps none; then nothing is recorded from a form
	// Directory, Policies and Zone are those of Options.
	Directory Directory
	Policies  map[string]Policy
	Zone      *time.Location
	Random    io.Reader // crypto/rand if nil
}

// An Author is who signs a change.
type Author struct {
	Submit Submitter
	// Account is the signer's; if it is set, an active Consent must name her as a performer, unless she
	// is the steward.
	Account tx.Account
	// Steward says that the patient's steward signs what she agreed to on a form. The ledger marks
	// such grants, and a patient overrides them.
	Steward bool
}

// agrees refuses a Consent that says somebody else agreed than who signs it.
func (a Author) agrees(d *Document) error {
	if d.Status != "active" || a.Steward || a.Account.IsZero() || slices.Contains(d.Agreed, a.Account) {
		return nil
	}
	return &Refusal{[]Issue{{"error", "business-rule", CodePerformer, "whoever signs is a performer of the Consent", "Consent.performer"}}}
}

// A Resource is a Consent as the ledger has it.
type Resource struct {
	ID      string
	Version string // for ETag; changes with whatever changes
	Updated time.Time
	Active  bool   // some grant of it stands and its period has not ended
	Body    []byte // FHIR JSON
	Notes   []Issue
	Grants  []consent.GrantID
}

func (s *Service) options(c *Chart, patient tx.Account) Options {
	o := Options{Patient: patient, Steward: c.Steward, Community: c.Community, Directory: s.Directory, Policies: s.Policies, Zone: s.Zone, Now: time.Unix(int64(c.Time), 0)}
	for _, p := range c.Consents.Proxies {
		if p.Proxy.NotBefore <= c.Time && (p.Proxy.NotAfter == 0 || c.Time < p.Proxy.NotAfter) {
			o.Proxies = append(o.Proxies, p.Proxy.Account)
		}
	}
	o.fill()
	return o
}

func (s *Service) random() io.Reader {
	if s.Random == nil {
		return rand.Reader
	}
	return s.Random
}

// Prepare reads a posted Consent and says what must be signed: for a new one with id "", for an
// existing one to replace it. A wallet signs the plan's message itself; Create and Update submit it.
// Errors: a *Refusal, ErrNotFound, ErrConflict, ErrSlots.
func (s *Service) Prepare(ctx context.Context, patient tx.Account, id, ifMatch string, raw []byte, steward bool) (*Plan, *Document, string, error) {
	chart, err := s.Chain.Chart(ctx, patient)
	if err != nil {
		return nil, nil, "", err
	}
	doc, err := Read(raw, s.options(&chart, patient))
	if err != nil {
		return nil, nil, "", err
	}
	p := planning{patient: patient, random: s.random(), recorded: steward}
	var standing []consent.Standing
	if id == "" {
		if doc.Status != "active" {
			return nil, nil, "", &Refusal{[]Issue{{"error", "business-rule", CodeStatus, "only an active Consent is put on the ledger", "Consent.status"}}}
		}
		if _, err := io.ReadFull(p.random, p.group[:]); err != nil {
			return nil, nil, "", fmt.Errorf("pcf: random numbers: %w", err)
		}
	} else if standing, err = s.standing(ctx, patient, id, ifMatch, &p); err != nil {
		return nil, nil, "", err
	}
	if p.slots, err = s.Slots(ctx, patient); err != nil {
		return nil, nil, "", err
	}
	name := hex.EncodeToString(p.group[:])
	if doc.Status == "active" {
		if err := s.keep(ctx, &p, standing, raw); err != nil {
			return nil, nil, "", err
		}
		if err := newcomers(&chart, p.group, p.slots, doc); err != nil {
			return nil, nil, "", err
		}
	}
	plan, err := p.plan(standing, doc.Wishes)
	return plan, doc, name, err
}

// keep keeps the posted bytes before anything names their commitment; bytes that the grants which stand
// were made from are kept already.
func (s *Service) keep(ctx context.Context, p *planning, standing []consent.Standing, raw []byte) error {
	if s.Papers == nil {
		if p.recorded {
			return errors.New("pcf: nothing is recorded from a form where no forms are kept")
		}
		return nil
	}
	old, err := s.paper(ctx, p.patient, standing)
	if err != nil {
		return err
	}
	if p.same = old != nil && bytes.Equal(old.Body, raw); p.same {
		p.document = old.Commitment()
		return nil
	}
	paper, err := newPaper(p.random, raw)
	if err != nil {
		return fmt.Errorf("pcf: random numbers: %w", err)
	}
	p.document = paper.Commitment()
	return s.Papers.Keep(ctx, p.patient, paper)
}

// newcomers warns of other Consents that deny something to everybody and were made before a member
// joined that is not clinical: the ledger has no grantee "everybody", so that they do not reach it.
func newcomers(chart *Chart, group Group, slots *record.SlotMap, doc *Document) error {
	wishes := map[Group][]Wish{}
	for i := range chart.Consents.Grants {
		g := &chart.Consents.Grants[i].Grant
		w, err := WishOf(g, slots)
		if err != nil {
			return err
		}
		if id := groupOf(g.ID); id != group && w.Deny != 0 {
			wishes[id] = append(wishes[id], w)
		}
	}
	for _, denials := range wishes {
		for _, w := range denials {
			if w.Grantee.Kind == consent.AnyClinical && !reachesAll(denials, w, chart.Community) {
				doc.Notes = append(doc.Notes, Issue{
					"warning", "business-rule", CodeNewcomer, "a Consent that denies something to everybody does not reach a member that joined after it; put it again", "Consent",
				})
				return nil
			}
		}
	}
	return nil
}

// reachesAll says whether a denial to the clinical members is one to some others too, and if so whether
// to all of them.
func reachesAll(denials []Wish, w Wish, community []tx.Account) bool {
	reached := 0
	for _, m := range community {
		w.Grantee = consent.Grantee{Kind: consent.OfMember, Account: m}
		if slices.ContainsFunc(denials, func(d Wish) bool { return d.frame() == w.frame() && d.Deny == w.Deny }) {
			reached++
		}
	}
	return reached == 0 || reached == len(community)
}

// paper finds the document of the newest of the grants, nil if it is not kept here.
func (s *Service) paper(ctx context.Context, patient tx.Account, parts []consent.Standing) (*Paper, error) {
	var newest consent.Standing
	for _, g := range parts {
		if g.Height >= newest.Height {
			newest = g
		}
	}
	if s.Papers == nil || newest.Grant.Document == (tx.Hash{}) {
		return nil, nil
	}
	p, err := s.Papers.Find(ctx, patient, newest.Grant.Document)
	if err == nil && p != nil && p.Commitment() != newest.Grant.Document {
		return nil, errors.New("pcf: a kept document is not the one that the ledger commits to")
	}
	return p, err
}

// standing finds what stands of a Consent and which of its parts were ever used.
func (s *Service) standing(ctx context.Context, patient tx.Account, id, ifMatch string, p *planning) ([]consent.Standing, error) {
	group, ok := parseGroup(id)
	if !ok {
		return nil, ErrNotFound
	}
	p.group = group
	versions, _, err := s.versions(ctx, patient, group)
	if err != nil {
		return nil, err
	}
	last := versions[len(versions)-1]
	if ifMatch != "" && ifMatch != last.id() {
		return nil, ErrConflict
	}
	for _, v := range versions {
		for _, part := range v.parts {
			p.used[part.Grant.ID[15]] = true
		}
	}
	return last.parts, nil
}

func parseGroup(id string) (g Group, ok bool) {
	b, err := hex.DecodeString(id)
	if err != nil || len(b) != len(g) || hex.EncodeToString(b) != id {
		return g, false
	}
	return Group(b), true
}

// Create puts a posted Consent on the ledger: whole, or not at all.
func (s *Service) Create(ctx context.Context, patient tx.Account, raw []byte, by Author) (*Resource, error) {
	plan, doc, id, err := s.Prepare(ctx, patient, "", "", raw, by.Steward)
	if err != nil {
		return nil, err
	}
	if err := by.agrees(doc); err != nil {
		return nil, err
	}
	if err := submit(ctx, plan, by.Submit); err != nil {
		return nil, err
	}
	return s.readBack(ctx, patient, id, doc)
}

// Update replaces a Consent, at once; one that is inactive or entered in error is revoked. ifMatch is the
// version that it must have, "" for any.
func (s *Service) Update(ctx context.Context, patient tx.Account, id, ifMatch string, raw []byte, by Author) (*Resource, error) {
	plan, doc, id, err := s.Prepare(ctx, patient, id, ifMatch, raw, by.Steward)
	if err != nil {
		return nil, err
	}
	if doc.ID != "" && doc.ID != id {
		return nil, &Refusal{[]Issue{{"error", "invalid", CodeType, "the id is not that of the address", "Consent.id"}}}
	}
	if err := by.agrees(doc); err != nil {
		return nil, err
	}
	if err := submit(ctx, plan, by.Submit); err != nil {
		return nil, err
	}
	return s.readBack(ctx, patient, id, doc)
}

// submit signs a plan and waits for its commit.
func submit(ctx context.Context, plan *Plan, by Submitter) error {
	kind, m, ok := plan.Message()
	if !ok {
		return nil
	}
	_, err := by.Submit(ctx, kind, m)
	return err
}

func (s *Service) readBack(ctx context.Context, patient tx.Account, id string, doc *Document) (*Resource, error) {
	r, err := s.Read(ctx, patient, id)
	if err != nil {
		return nil, err
	}
	r.Notes = doc.Notes
	return r, nil
}

// Delete revokes every grant of a Consent; doing it again changes nothing. Its history stays.
func (s *Service) Delete(ctx context.Context, patient tx.Account, id, ifMatch string, by Author) error {
	var p planning
	standing, err := s.standing(ctx, patient, id, ifMatch, &p)
	if err != nil {
		return err
	}
	slots, err := s.Slots(ctx, patient)
	if err != nil {
		return err
	}
	p.patient, p.slots, p.random = patient, slots, s.random()
	plan, err := p.plan(standing, nil)
	if err != nil {
		return err
	}
	return submit(ctx, plan, by.Submit)
}
