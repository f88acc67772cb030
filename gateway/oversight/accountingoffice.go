package oversight

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"salus/gateway/balp"
	"salus/gateway/rest"
	"salus/ledger/module/consent"
)

// What the privacy officer's changes are refused with.
var (
	errText       = rest.NewFault(http.StatusUnprocessableEntity, "value", "accounting-text", "a text is missing or too long: a name has up to 200 bytes, every other text up to 2,000, and no control characters")
	errSelf       = rest.NewFault(http.StatusUnprocessableEntity, "value", "accounting-recipient", "the recipient is this organisation itself")
	errDay        = rest.NewFault(http.StatusUnprocessableEntity, "value", "accounting-date", "a disclosure has a date, YYYY-MM-DD in UTC, within the last six years and not to come")
	errWhy        = rest.NewFault(http.StatusUnprocessableEntity, "value", "accounting-purpose", "say what for, in HL7's codes of PurposeOfUse, or by a basis of 45 CFR 164.528(a)(1)")
	errStudy      = rest.NewFault(http.StatusUnprocessableEntity, "not-found", "accounting-study", "there is no study of that name here")
	errTime       = rest.NewFault(http.StatusUnprocessableEntity, "value", "accounting-period", "it ends after it begins, a written suspension says when, and its end is to come")
	errOral       = rest.NewFault(http.StatusUnprocessableEntity, "required", "accounting-oral", "who asked for an oral suspension is documented, and for an oral one alone (45 CFR 164.528(a)(2)(ii))")
	errSuspension = rest.NewFault(http.StatusNotFound, "not-found", "accounting-suspension", "there is no suspension of that number, or it has ended")
)

// A Disclosure is one that left by another way than this node: by letter, by telephone, on paper.
type Disclosure struct {
	Patient   string     `json:"patient"`           // "Patient/p1"
	Recipient string     `json:"recipient"`         // name, or "Organization/x"
	Address   string     `json:"address,omitempty"` // kept for the recipient, if it is known
	On        string     `json:"on"`                // the day, "2006-01-02"
	What      string     `json:"what"`              // in a few words
	Purposes  []string   `json:"purposes,omitempty"`
	Basis     balp.Basis `json:"basis,omitempty"` // why it is not accounted for; "" if it is
	Study     string     `json:"study,omitempty"`
}

// name and prose check texts of the officer's.
func name(s string) bool { return s != "" && len(s) <= 200 && plain(s) }

func prose(s string) bool { return s != "" && len(s) <= 2000 && plain(s) }

func plain(s string) bool {
	return utf8.ValidString(s) && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, unicode.IsControl)
}

// recipient checks who is named.
func (s *Service) recipient(to string) error {
	if !name(to) {
		return errText
	}
	if o := s.Organization; to == o.Reference || to == o.Value || to == o.Display {
		return errSelf
	}
	return nil
}

// known checks a patient and returns her reference.
func (s *Service) known(patient string) (string, error) {
	ref := "Patient/" + strings.TrimPrefix(patient, "Patient/")
	_, err := s.Known(ref)
	return ref, err
}

// Disclosed records what left by another way. Its event is of now, and says the day: the journal's order and what it
// is searched by are those of recording (R4 AuditEvent.recorded, and AuditEvent.period); accountings go by the day.
func (s *Service) Disclosed(ctx context.Context, d Disclosure) (id string, err error) {
	ref, err := s.known(d.Patient)
	if err != nil {
		return "", err
	}
	if err := s.recipient(d.Recipient); err != nil {
		return "", err
	}
	if !prose(d.What) || d.Address != "" && !prose(d.Address) {
		return "", errText
	}
	now := time.Now().UTC()
	if on, err := time.Parse(time.DateOnly, d.On); err != nil || on.After(now) || on.Before(now.AddDate(-6, 0, -1)) {
		return "", errDay
	}
	e := balp.Event{
		Kind: balp.Disclose, Outcome: balp.Success, Organization: s.Organization, Recipient: balp.Who{Display: d.Recipient},
		Patient: balp.Who{Reference: ref}, On: d.On, What: d.What, Basis: d.Basis, Study: d.Study,
	}
	for _, code := range d.Purposes {
		p, err := consent.ParsePurpose(code)
		if err != nil {
			return "", errWhy
		}
		e.Purposes |= consent.PurposesOf(p)
	}
	if e.Purposes == 0 && e.Basis == balp.Accountable || !slices.Contains(balp.Bases, e.Basis) {
		return "", errWhy
	}
	if _, ok := s.Events.Register.Kept().Studies[d.Study]; d.Study != "" && !ok {
		return "", errStudy
	}
	if strings.HasPrefix(d.Recipient, "Organization/") {
		e.Recipient = balp.Who{Reference: d.Recipient}
	}
	if d.Address != "" {
		if err := s.SetAddress(ctx, d.Recipient, d.Address); err != nil {
			return "", err
		}
	}
	return s.Events.Recorder.Record(context.WithoutCancel(ctx), e)
}

// Suspend begins to withhold a patient's disclosures to one recipient from her; its number is given here, and From,
// if it says none, is now. An oral one says who asked, and lapses after 30 days whatever Until says.
func (s *Service) Suspend(ctx context.Context, x balp.Suspension) (balp.Suspension, error) {
	var err error
	if x.Patient, err = s.known(x.Patient); err != nil {
		return x, err
	}
	if err := s.recipient(x.Recipient); err != nil {
		return x, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if x.Ended = (time.Time{}); x.From.IsZero() {
		x.From = now
	}
	switch {
	case x.Oral != (x.By != ""):
		return x, errOral
	case x.Oral && !name(x.By):
		return x, errText
	case !x.Oral && x.Until.IsZero(), !x.Until.IsZero() && !x.From.Before(x.Until), !x.End().After(now):
		return x, errTime
	}
	err = s.change(ctx, "POST /v1/accounting/suspensions", &x, func(k *balp.Kept) error {
		x.Number = 1 + uint64(len(k.Suspensions)) // none is ever taken out
		k.Suspensions = append(k.Suspensions, x)
		return nil
	})
	return x, err
}

// Resume ends a suspension before its time.
func (s *Service) Resume(ctx context.Context, number uint64) (x balp.Suspension, err error) {
	err = s.change(ctx, "POST /v1/accounting/suspensions/{number}/resume", &x, func(k *balp.Kept) error {
		now := time.Now().UTC()
		i := slices.IndexFunc(k.Suspensions, func(y balp.Suspension) bool { return y.Number == number && y.End().After(now) })
		if i < 0 {
			return errSuspension
		}
		k.Suspensions[i].Ended = now
		x = k.Suspensions[i]
		return nil
	})
	return x, err
}

// SetStudy keeps what accountings say of a study (164.528(b)(4)), in the place of what they said.
func (s *Service) SetStudy(ctx context.Context, x balp.Study) error {
	if !name(x.Name) || !prose(x.Description) || !prose(x.Data) || !prose(x.Sponsor) || !prose(x.Researcher) {
		return errText
	}
	if x.From.IsZero() || !x.Until.IsZero() && !x.From.Before(x.Until) {
		return errTime
	}
	x.Last = time.Time{}
	return s.change(ctx, "POST /v1/accounting/studies", &x, func(k *balp.Kept) error {
		k.Studies[x.Name] = x
		return nil
	})
}

// SetAddress keeps where a recipient is (164.528(b)(2)(ii)); "" forgets it.
func (s *Service) SetAddress(ctx context.Context, to, address string) error {
	if !name(to) || address != "" && !prose(address) {
		return errText
	}
	return s.change(ctx, "POST /v1/accounting/addresses", &struct {
		Recipient string `json:"recipient"`
		Address   string `json:"address"`
	}{to, address}, func(k *balp.Kept) error {
		if k.Addresses[to] = address; address == "" {
			delete(k.Addresses, to)
		}
		return nil
	})
}

// Kept is what the officer keeps. That somebody looked is recorded: it says of whom authorities ask.
func (s *Service) Kept(ctx context.Context) (*balp.Kept, error) {
	if err := s.note(ctx, balp.Success, "GET /v1/accounting"); err != nil {
		return nil, err
	}
	return s.Events.Register.Kept(), nil
}

// change keeps what do changes, and records it before, with what as do left it. The event names no patient as its
// own: a suspension would be in her log.
func (s *Service) change(ctx context.Context, did string, what any, do func(*balp.Kept) error) error {
	query := ""
	err := s.Events.Register.Change(func(k *balp.Kept) error {
		if err := do(k); err != nil {
			return err
		}
		said, err := json.Marshal(what)
		if err != nil {
			return fmt.Errorf("oversight: %w", err)
		}
		query = did + "\n\n" + string(said)
		return s.note(ctx, balp.Success, query)
	})
	if err != nil && query != "" { // what was recorded is not so
		err = errors.Join(err, s.note(ctx, balp.Major, query))
	}
	return err
}

func (s *Service) note(ctx context.Context, o balp.Outcome, query string) error {
	_, err := s.Events.Recorder.Record(context.WithoutCancel(ctx), balp.Event{Kind: balp.Operation, Outcome: o, Organization: s.Organization, Query: query})
	return err
}
