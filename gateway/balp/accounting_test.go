package balp

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
	"salus/ledger/module/consent"
)

var (
	court    = Who{Reference: "Organization/court", Display: "Sample Court"}
	registry = Who{Reference: "Organization/registry", Display: "=cmd()"} // a name that a spreadsheet would run
	agency   = Who{Reference: "Organization/agency", Display: "Sample Agency"}
)

func disclosure(to Who, on time.Time, purposes ...consent.Purpose) Event {
	return Event{
		Kind: Disclose, Time: on, Outcome: Success, Organization: clinic, Server: site.Observer, Recipient: to, Patient: alice,
		Purposes: consent.PurposesOf(purposes...), What: "laboratory report", Resources: []string{"DiagnosticReport/x"},
	}
}

func entriesOf(events ...Event) (out []entry) {
	for i, e := range events {
		out = append(out, entry{localID(uint64(i + 1)), e, 1, uint64(i + 1)})
	}
	slices.SortFunc(out, func(a, b entry) int { return a.compare(&b) })
	return out
}

func terms() Terms {
	return Terms{Patient: alice, From: at.AddDate(-1, 0, 0), To: at, Requested: at}
}

func account(t testing.TB, terms Terms, events ...Event) *Accounting {
	t.Helper()
	a, err := terms.account(entriesOf(events...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestWhatTheRuleLeavesOutIsAbsent is A-07: each exclusion of 45 CFR 164.528(a)(1).
func TestWhatTheRuleLeavesOutIsAbsent(t *testing.T) {
	day := at.AddDate(0, -1, 0)
	var events []Event
	for _, p := range []consent.Purpose{consent.TREAT, consent.COC, consent.ETREAT, consent.BTG, consent.HPAYMT, consent.CLMATTCH, consent.HOPERAT, consent.HQUALIMP, consent.PATRQT, consent.FAMRQT} {
		events = append(events, disclosure(court, day, p))
	}
	for _, b := range []Basis{Incidental, Authorized, Directory, NationalSecurity, Custody, LimitedDataSet, TPO, ToIndividual} {
		e := disclosure(court, day, consent.PUBHLTH)
		e.Basis = b
		events = append(events, e)
	}
	failed := disclosure(court, day, consent.HMARKT)
	failed.Outcome = Serious
	read := wholeEvent(Read)
	read.Time, read.Purposes = day, consent.PurposesOf(consent.HMARKT)
	events = append(events, failed, read)
	if a := account(t, terms(), events...); len(a.Items) != 0 {
		t.Errorf("got %d items, want none: %+v", len(a.Items), a.Items[0])
	}
	for _, p := range []consent.Purpose{consent.PUBHLTH, consent.THREAT, consent.HMARKT, consent.HRESCH, consent.DSRCH, consent.HLEGAL, consent.DONAT, consent.MLTRAINING} {
		if a := account(t, terms(), disclosure(court, day, p)); len(a.Items) != 1 {
			t.Errorf("%s: got %d items, want 1", p, len(a.Items))
		}
	}
	if a := account(t, terms(), disclosure(court, day)); len(a.Items) != 1 {
		t.Error("a disclosure for no known purpose is left out")
	}
	if a := account(t, terms(), disclosure(court, day, consent.TREAT, consent.HMARKT)); len(a.Items) != 1 {
		t.Error("a disclosure for treatment and marketing is left out")
	}
	narrow := terms()
	narrow.LeftOut = consent.PurposesOf(consent.PATRQT)
	if a := account(t, narrow, disclosure(court, day, consent.TREAT), disclosure(court, day, consent.PATRQT)); len(a.Items) != 1 || a.Items[0].Purposes[0] != "TREAT" {
		t.Errorf("got %+v, want treatment accounted for where it is not left out", a.Items)
	}
	all := terms()
	all.Everything, all.Each = true, true
	if a := account(t, all, events...); len(a.Items) != len(events)-1 || a.Items[0].Basis != TPO {
		t.Errorf("got %d items, want all but the failure, %d", len(a.Items), len(events)-1)
	}
}

func TestDisclosuresToOneRecipientForOnePurposeFold(t *testing.T) {
	first := at.AddDate(0, -6, 0)
	var events []Event
	for n := range 5 {
		events = append(events, disclosure(registry, first.AddDate(0, n, 0), consent.PUBHLTH))
	}
	events = append(events, disclosure(registry, first, consent.HRESCH), disclosure(court, first, consent.PUBHLTH))
	t.Run("folded", func(t *testing.T) {
		tt := terms()
		tt.Address = func(w Who) string { return map[string]string{court.Reference: "1 Sample Street"}[w.Reference] }
		a := account(t, tt, events...)
		if len(a.Items) != 3 {
			t.Fatalf("got %d items, want 3", len(a.Items))
		}
		i := slices.IndexFunc(a.Items, func(i Item) bool { return i.Number == 5 })
		if i < 0 || !a.Items[i].First.Equal(first) || !a.Items[i].Last.Equal(first.AddDate(0, 4, 0)) || len(a.Items[i].Events) != 5 {
			t.Errorf("got %+v", a.Items)
		}
		if c := a.Items[slices.IndexFunc(a.Items, func(i Item) bool { return i.Recipient == "Sample Court" })]; c.Address != "1 Sample Street" || c.Description != "laboratory report" || c.Purposes[0] != "PUBHLTH" {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("each", func(t *testing.T) {
		tt := terms()
		tt.Each = true
		if a := account(t, tt, events...); len(a.Items) != len(events) {
			t.Errorf("got %d items, want %d", len(a.Items), len(events))
		}
	})
	t.Run("own use", func(t *testing.T) {
		tt := terms()
		tt.Self = court.Reference
		if a := account(t, tt, events...); len(a.Items) != 2 {
			t.Errorf("got %d items, want 2", len(a.Items))
		}
	})
}

// TestASuspensionWithholdsForItsTime is A-07: counted, released when it ends, an oral one after 30 days.
func TestASuspensionWithholdsForItsTime(t *testing.T) {
	e := disclosure(agency, at.AddDate(0, -2, 0), consent.PUBHLTH)
	for _, tt := range []struct {
		name     string
		s        Suspension
		withheld int
	}{
		{"in force", Suspension{From: at.AddDate(0, -1, 0), Until: at.AddDate(0, 1, 0)}, 1},
		{"over", Suspension{From: at.AddDate(0, -2, 0), Until: at.AddDate(0, 0, -1)}, 0},
		{"not begun", Suspension{From: at.AddDate(0, 0, 1), Until: at.AddDate(0, 1, 0)}, 0},
		{"ended before its time", Suspension{From: at.AddDate(0, -1, 0), Until: at.AddDate(0, 1, 0), Ended: at}, 0},
		{"another recipient", Suspension{Recipient: court.Reference, From: at.AddDate(0, -1, 0), Until: at.AddDate(0, 1, 0)}, 0},
		{"another patient", Suspension{Patient: "Patient/bob", From: at.AddDate(0, -1, 0), Until: at.AddDate(0, 1, 0)}, 0},
		{"by its name", Suspension{Recipient: agency.Display, From: at.AddDate(0, -1, 0), Until: at.AddDate(0, 1, 0)}, 1},
		{"oral", Suspension{From: at.AddDate(0, 0, -29), Oral: true}, 1},
		{"oral, day 30", Suspension{From: at.AddDate(0, 0, -30), Until: at.AddDate(1, 0, 0), Oral: true}, 0},
		{"oral and shorter", Suspension{From: at.AddDate(0, 0, -9), Until: at.AddDate(0, 0, -1), Oral: true}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			terms := terms()
			tt.s.Patient, tt.s.Recipient = cmp.Or(tt.s.Patient, alice.Reference), cmp.Or(tt.s.Recipient, agency.Reference)
			terms.Suspensions = []Suspension{tt.s}
			if a := account(t, terms, e); a.Withheld != 0 || len(a.Items) != 1-tt.withheld {
				t.Errorf("the individual is told of %d that are withheld, and gets %d items", a.Withheld, len(a.Items))
			}
			terms.Officer = true
			a := account(t, terms, e)
			if a.Withheld != tt.withheld || len(a.Items) != 1-tt.withheld {
				t.Errorf("got %d withheld and %d items, want %d withheld", a.Withheld, len(a.Items), tt.withheld)
			}
		})
	}
}

func TestAnAccountingGoesBackSixYears(t *testing.T) {
	old, within := disclosure(court, at.AddDate(-6, 0, 0).Add(-time.Second), consent.PUBHLTH), disclosure(court, at.AddDate(-6, 0, 0), consent.HMARKT)
	tt := terms()
	tt.From = at.AddDate(-10, 0, 0)
	if a := account(t, tt, old, within); len(a.Items) != 1 || !a.Clipped || a.Items[0].Purposes[0] != "HMARKT" {
		t.Errorf("got %+v, want the one within six years", a.Items)
	}
	tt.From = time.Time{}
	if a := account(t, tt, old, within); len(a.Items) != 1 || a.Clipped {
		t.Errorf("got %+v", a.Items)
	}
	for _, change := range []func(*Terms){func(t *Terms) { t.From = t.To }, func(t *Terms) { t.To = t.Requested.Add(time.Hour) }} {
		tt := terms()
		change(&tt)
		if _, err := tt.account(nil); !errors.Is(err, ErrPeriod) {
			t.Errorf("got %v, want %v", err, ErrPeriod)
		}
	}
}

func TestResearchOnManyIsListedByStudy(t *testing.T) {
	e := disclosure(registry, at.AddDate(0, -1, 0), consent.DSRCH)
	e.Study = "S-1"
	small := e
	small.Study = "S-2" // fewer than 50 persons: no list form
	tt := terms()
	tt.Studies = map[string]Study{"S-1": {Name: "Sample study", Description: "Outcomes.", Data: "laboratory", Sponsor: "Sample University", Researcher: "Sample Researcher"}}
	a := account(t, tt, e, e, small)
	if len(a.Studies) != 1 || len(a.Items) != 1 {
		t.Fatalf("got %d studies and %d items, want 1 and 1", len(a.Studies), len(a.Items))
	}
	var b bytes.Buffer
	if err := a.CSV(&b); err != nil || !strings.Contains(b.String(), "may or may not have been disclosed") {
		t.Errorf("got %s, %v", &b, err)
	}
}

// TestAnAccountingAgreesWithItsLog makes logs and compares with a plain reading of the rule.
func TestAnAccountingAgreesWithItsLog(t *testing.T) {
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	covered := []string{"TREAT", "ETREAT", "BTG", "COC", "HPAYMT", "HOPERAT", "PATRQT"}
	rapid.Check(t, func(rt *rapid.T) {
		var events []Event
		want := map[string]int{}
		withheld := 0
		for range rapid.IntRange(0, 30).Draw(rt, "events") {
			p := rapid.SampledFrom([]consent.Purpose{consent.TREAT, consent.BTG, consent.COC, consent.HPAYMT, consent.PATRQT, consent.PUBHLTH, consent.HRESCH, consent.HMARKT}).Draw(rt, "purpose")
			to := rapid.SampledFrom([]Who{court, registry, agency}).Draw(rt, "to")
			on := at.AddDate(0, 0, -rapid.IntRange(-1, 3000).Draw(rt, "days"))
			e := disclosure(to, on, p)
			e.Kind = rapid.SampledFrom([]Kind{Disclose, Disclose, Export, Read, Receive, Decide}).Draw(rt, "kind")
			e.Outcome = rapid.SampledFrom([]Outcome{Success, Success, Success, Serious}).Draw(rt, "outcome")
			events = append(events, e)
			if (e.Kind == Disclose || e.Kind == Export) && e.Outcome == Success && !slices.Contains(covered, p.String()) && !on.Before(at.AddDate(-6, 0, 0)) && on.Before(at) {
				if to == agency {
					withheld++
				} else {
					want[to.Reference+p.String()]++
				}
			}
		}
		tt := terms()
		tt.Officer, tt.From, tt.Suspensions = true, time.Time{}, []Suspension{{Patient: alice.Reference, Recipient: agency.Reference, Until: at.AddDate(1, 0, 0)}}
		a, err := tt.account(entriesOf(events...))
		if err != nil {
			rt.Fatal(err)
		}
		if len(a.Items) != len(want) || a.Withheld != withheld {
			rt.Fatalf("got %d items and %d withheld, want %d and %d", len(a.Items), a.Withheld, len(want), withheld)
		}
		total := 0
		for _, i := range a.Items {
			if i.Number != want[i.who.Reference+i.Purposes[0]] || i.Number != len(i.Events) || i.Last.Before(i.First) {
				rt.Fatalf("got %+v, want %d", i, want[i.who.Reference+i.Purposes[0]])
			}
			total += i.Number
		}
		checkReports(rt, v, a, total)
	})
}

// checkReports reads the three forms of an accounting back.
func checkReports(t *rapid.T, v *validate.Validator, a *Accounting, total int) {
	var b bytes.Buffer
	if err := a.CSV(&b); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&b).ReadAll()
	rest := 1
	if a.Withheld > 0 {
		rest++
	}
	if err != nil || len(lines) != len(a.Items)+rest {
		t.Fatalf("got %d lines, %v", len(lines), err)
	}
	for _, l := range lines {
		for _, cell := range l {
			if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
				t.Fatalf("a cell is a formula")
			}
		}
	}
	b.Reset()
	var back Accounting
	if err := a.JSON(&b); err != nil || json.Unmarshal(b.Bytes(), &back) != nil || len(back.Items) != len(a.Items) {
		t.Fatalf("the JSON does not read back: %v", err)
	}
	raw, err := a.Bundle(&site, "https://server.example.com/fhir")
	if err != nil {
		t.Fatal(err)
	}
	r, err := fhir.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range v.Validate(t.Context(), r) {
		if i.Severity == validate.Error && i.Code != validate.CodeProfileUnknown {
			t.Fatalf("%+v\n%s", i, raw)
		}
	}
	var o object
	if err := json.Unmarshal(raw, &o); err != nil || len(list(o["entry"])) != total+1 {
		t.Fatalf("got %d entries, want the list and %d events", len(list(o["entry"])), total)
	}
}

func TestAnAccountingIsMadeOfBothSourcesAndRecorded(t *testing.T) {
	r := newReader(t)
	r.record(t, disclosure(court, at.Add(-time.Hour), consent.PUBHLTH), disclosure(court, at.Add(-time.Hour), consent.TREAT))
	tt := terms()
	tt.To, tt.Requested = at.Add(time.Hour), at.Add(time.Hour)
	by := herself
	by.Resources = []string{"Patient/alice"}
	a, err := r.Accounting(t.Context(), subject, tt, by)
	if err != nil {
		t.Fatal(err)
	}
	// Here the one for public health; on the ledger TREAT is left out, legal matters are not.
	if len(a.Items) != 2 || a.Items[0].Events[0] != "local-1" || a.Items[1].Events[0] != "ledger-106" {
		t.Errorf("got %+v", a.Items)
	}
	tt.Everything, tt.Each = true, true
	if a, err = r.Accounting(t.Context(), subject, tt, by); err != nil || !slices.ContainsFunc(a.Items, func(i Item) bool { return i.Events[0] == "ledger-104" }) {
		t.Errorf("the ledger's disclosures are missing from the report of every access: %v", err)
	}
	if got := search(t, r, subject, "subtype=operation").Total; got != 2 {
		t.Errorf("got %d accountings in the log, want 2", got)
	}
	if _, err := r.Accounting(t.Context(), Subject{}, tt, by); !errors.Is(err, ErrSubject) {
		t.Errorf("got %v, want %v", err, ErrSubject)
	}
}
