package balp

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

var (
	at     = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)
	doctor = Who{Reference: "Practitioner/sample", Display: "Sample Doctor"}
	clinic = Who{Reference: "Organization/clinic", Display: "Sample Clinic", Address: "clinic.example"}
	app    = Who{Reference: "Device/app", Display: "Sample App", Address: "2001:db8::7334"}
	alice  = Who{Reference: "Patient/alice"}
	site   = Site{Name: "server.example.com", Observer: Who{Reference: "Device/gateway", Address: "https://server.example.com/fhir"}}
)

// wholeEvent is an event of a kind that says everything that kind has.
func wholeEvent(k Kind) Event {
	e := Event{
		Kind: k, Time: at, Outcome: Success, User: doctor, Organization: clinic, Client: app, Patient: alice, Token: "jti-1",
		Purposes: consent.PurposesOf(consent.TREAT), Request: "76d148b6-586d-11ec-bf63-0242ac130002",
	}
	switch k {
	case Search, SearchAll, Login:
		e.Query = "GET https://server.example.com/fhir/Observation?code=1234-5\nAccept: application/fhir+json"
	case Decide, Grant, Amend, Revoke:
		e.Consents = []Who{{Reference: "Consent/x"}}
	default:
		e.Resources = []string{"List/x"}
	}
	if k == Disclose {
		e.Recipient = clinic
	}
	if k == Receive {
		e.Server = clinic
	}
	return e
}

func write(t testing.TB, e Event) object {
	t.Helper()
	b, err := site.AuditEvent(&e, "local-1")
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

func profileOf(o object) string {
	m, _ := o["meta"].(object)
	if m == nil {
		return ""
	}
	return strings.TrimPrefix(text(list(m["profile"])[0]), profiles)
}

func TestEachKindMeetsItsProfile(t *testing.T) {
	without := func(k Kind) Event { e := wholeEvent(k); e.Patient = Who{}; return e }
	for _, tt := range []struct {
		name  string
		event Event
		want  string
	}{
		{"create", wholeEvent(Create), "PatientCreate"},
		{"create of no patient", without(Create), "Create"},
		{"read", wholeEvent(Read), "PatientRead"},
		{"read of no patient", without(Read), "Read"},
		{"vread", wholeEvent(VRead), "PatientRead"},
		{"update", wholeEvent(Update), "PatientUpdate"},
		{"update of no patient", without(Update), "Update"},
		{"patch", wholeEvent(Patch), "PatientUpdate"},
		{"delete", wholeEvent(Delete), "PatientDelete"},
		{"delete of no patient", without(Delete), "Delete"},
		{"search", wholeEvent(Search), "PatientQuery"},
		{"search of no patient", without(Search), "Query"},
		{"search of all", wholeEvent(SearchAll), "PatientQuery"},
		{"disclosure", wholeEvent(Disclose), "PrivacyDisclosure.Source"},
		{"receipt", wholeEvent(Receive), "PrivacyDisclosure.Recipient"},
		{"decision", wholeEvent(Decide), "AuthZconsent"},
		{"denial", func() Event { e := wholeEvent(Decide); e.Outcome, e.Reason = Serious, "denied"; return e }(), "AuthZconsent"},
		{"token", without(Login), ProfileToken},
		{"history", wholeEvent(History), ""},
		{"operation", wholeEvent(Operation), ""},
		{"export", wholeEvent(Export), ""},
		{"batch", wholeEvent(Batch), ""},
		{"failure", func() Event { e := wholeEvent(Read); e.Outcome = Serious; return e }(), ""}, // BALP's fix outcome 0
		{"an unknown client address", func() Event { e := wholeEvent(Read); e.Client.Address = ""; return e }(), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := write(t, tt.event)
			if p := profileOf(got); p != tt.want {
				t.Fatalf("got profile %q, want %q", p, tt.want)
			}
			if tt.want == "" {
				return
			}
			if wrong := check(t, got, text(list(got["meta"].(object)["profile"])[0])); len(wrong) > 0 {
				t.Errorf("%v", wrong)
			}
		})
	}
}

// TestAnEventIsWrittenAsBALPsExamples compares element by element with the examples of the guide, for
// the same story told by both.
func TestAnEventIsWrittenAsBALPsExamples(t *testing.T) {
	server := Site{Name: "server.example.com", Observer: Who{Reference: "Device/ex-device", Address: "http://server.example.com/fhir"}}
	machine := Who{Display: "myMachine.example.org", Address: "2001:0db8:85a3:0000:0000:8a2e:0370:7334"}
	event := Event{Time: time.Date(2020, 4, 29, 9, 49, 0, 0, time.UTC), Outcome: Success, User: Who{Display: "John Smith"}, Client: machine, Patient: Who{Reference: "Patient/ex-patient"}}
	for _, tt := range []struct {
		example string
		change  func(*Event)
		differs []string // elements where Salus and the example differ, and why
	}{
		{"ex-auditBasicReadServer", func(e *Event) {
			e.Kind, e.Resources, e.Request = Read, []string{"List/ex-list"}, "76d148b6-586d-11ec-bf63-0242ac130002"
		}, nil},
		{"ex-auditBasicCreateServer", func(e *Event) { e.Kind, e.Resources = Create, []string{"List/ex-list"} }, []string{"source"}}, // the example's observer is the client
		{"ex-auditBasicDeleteServer", func(e *Event) { e.Kind, e.Resources = Delete, []string{"List/ex-list"} }, []string{"source"}}, // the example has no site
		{"ex-auditBasicPatch", func(e *Event) { e.Kind, e.Resources = Patch, []string{"List/ex-list"} }, nil},
		{"ex-auditBasicQueryGetServer", func(e *Event) {
			e.Kind, e.Request = SearchAll, "cc6d168e-5871-11ec-bf63-0242ac130002"
			e.Query = "GET test.fhir.org/r4/Observation?patient=ex-patient&_lastUpdated=gt2020-11-06T21:52:30.300Z&_sort=_lastUpdated&_count=10\nAccept: application/fhir+json; fhirVersion=4.0\nX-Request-Id: cc6d168e-5871-11ec-bf63-0242ac130002"
		}, []string{"subtype", "entity"}}, // the example's subtype is "search", which R4 does not have; description repeats the query in clear
	} {
		t.Run(tt.example, func(t *testing.T) {
			want := load(t, "AuditEvent-"+tt.example+".json")
			e := event
			tt.change(&e)
			b, err := server.AuditEvent(&e, tt.example)
			if err != nil {
				t.Fatal(err)
			}
			var got object
			if err := json.Unmarshal(b, &got); err != nil {
				t.Fatal(err)
			}
			delete(want, "text")
			delete(want["meta"].(object), "security") // says that it is test data
			var differs []string
			for _, name := range []string{"resourceType", "id", "meta", "type", "subtype", "action", "recorded", "outcome", "agent", "source", "entity"} {
				if !cmp.Equal(want[name], got[name]) {
					differs = append(differs, name)
					if !slices.Contains(tt.differs, name) {
						t.Errorf("%s (-example +got):\n%s", name, cmp.Diff(want[name], got[name]))
					}
				}
				delete(want, name)
				delete(got, name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("other elements (-example +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.differs, differs); diff != "" {
				t.Errorf("what differs is not what is known to (-known +got):\n%s", diff)
			}
		})
	}
}

var genWho = rapid.Custom(func(t *rapid.T) Who {
	return Who{
		Reference: rapid.SampledFrom([]string{"", "Practitioner/a", "Device/b"}).Draw(t, "reference"), Display: rapid.SampledFrom([]string{"", "A <b> & \"c\""}).Draw(t, "display"),
		System: SystemAccount, Value: rapid.SampledFrom([]string{"", "v"}).Draw(t, "value"), Address: rapid.SampledFrom([]string{"", "10.0.0.1", "h.example", "urn:x:y"}).Draw(t, "address"),
	}
})

func genEvent(t *rapid.T) Event {
	var kinds []Kind
	for k := range shapes {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	e := wholeEvent(rapid.SampledFrom(kinds).Draw(t, "kind"))
	e.Outcome = rapid.SampledFrom([]Outcome{Success, Success, Minor, Serious, Major}).Draw(t, "outcome")
	e.Reason = rapid.SampledFrom([]string{"", "rest-forbidden"}).Draw(t, "reason")
	for _, w := range []*Who{&e.User, &e.Organization, &e.Client, &e.Server, &e.Recipient} {
		if rapid.Bool().Draw(t, "other") {
			*w = genWho.Draw(t, "who")
		}
	}
	if rapid.Bool().Draw(t, "no patient") {
		e.Patient = Who{}
	}
	e.Purposes = rapid.SampledFrom([]consent.Purposes{0, e.Purposes, consent.PurposesOf(consent.BTG), consent.PurposesOf(consent.HRESCH, consent.PATRQT)}).Draw(t, "purposes")
	if rapid.Bool().Draw(t, "ledger") {
		e.Session, e.List, e.Count, e.Ledger = tx.Hash{1}, tx.Hash{2}, 7, &Place{Index: 5, Height: 6}
	}
	return e
}

// TestEveryEventIsValidR4 checks generated events against base R4, and against the profile they name.
func TestEveryEventIsValidR4(t *testing.T) {
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, guideErr := profilesHere()
	named := 0
	rapid.Check(t, func(rt *rapid.T) {
		e := genEvent(rt)
		if e.Valid() != nil {
			return
		}
		b, err := site.AuditEvent(&e, "local-7")
		if err != nil {
			rt.Fatal(err)
		}
		r, err := fhir.Parse(b)
		if err != nil {
			rt.Fatal(err)
		}
		for _, i := range v.Validate(t.Context(), r) {
			if (i.Severity == validate.Error || i.Severity == validate.Fatal) && i.Code != validate.CodeProfileUnknown {
				rt.Fatalf("%+v\n%s", i, b)
			}
		}
		var o object
		_ = json.Unmarshal(b, &o)
		requestors := 0
		for _, a := range list(o["agent"]) {
			if a.(object)["requestor"] == true {
				requestors++
			}
		}
		if requestors != 1 {
			rt.Fatalf("%d agents asked, want 1\n%s", requestors, b)
		}
		if p := profileOf(o); p != "" && guideErr == nil {
			named++
			if wrong := check(t, o, text(list(o["meta"].(object)["profile"])[0])); len(wrong) > 0 {
				rt.Fatalf("%v\n%s", wrong, b)
			}
		}
	})
	t.Logf("%d events named a profile", named)
}

func TestAQueryIsInBase64AndNowhereElse(t *testing.T) {
	e := wholeEvent(Search)
	b, err := site.AuditEvent(&e, "")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "1234-5") || !strings.Contains(string(b), base64.StdEncoding.EncodeToString([]byte(e.Query))) {
		t.Errorf("got %s", b)
	}
}

// links is a chain: a session, two fetches, a break-glass session that got nothing, a consent, a proxy.
func links() []audit.Link {
	patient, who, member := tx.Account{1}, tx.Account{2}, tx.Account{3}
	var out []audit.Link
	for i, r := range []audit.Record{
		{Action: audit.Enrolled, Actor: member, Member: member, Count: 1},
		{Action: audit.Claimed, Actor: patient, Member: member, Count: 1},
		{Action: audit.ConsentGranted, Actor: patient, Member: member, Ref: consent.Ref(consent.GrantID{9}, 1), Mask: 0xff, Count: 1},
		{Action: audit.SessionOpened, Actor: who, Member: member, Purpose: uint8(consent.TREAT), Ref: tx.Hash{7}, Mask: 0x0f},
		{Action: audit.FetchCommitted, Actor: who, Member: member, Purpose: uint8(consent.TREAT), Ref: tx.Hash{7}, Mask: 0x0f, Count: 3, Root: tx.Hash{8}},
		{Action: audit.SessionOpened, Actor: who, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{6}, Mask: 0xf0},
		{Action: audit.FetchCommitted, Actor: who, Member: member, Purpose: uint8(consent.HLEGAL), Ref: tx.Hash{6}, Mask: 0xf0, Count: 1, Root: tx.Hash{5}},
		{Action: audit.SessionOpened, Actor: who, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{4}, Mask: 0x100},
		{Action: audit.SessionClosed, Actor: who, Member: member, Purpose: uint8(consent.TREAT), Ref: tx.Hash{7}},
		{Action: audit.ProxyChanged, Actor: patient, Member: member, Ref: consent.Ref(consent.GrantID{5}, 1), Count: 1},
		{Action: audit.ConsentRevoked, Actor: patient, Member: member, Count: 1},
		{Action: audit.KeysChanged, Actor: patient, Member: member, Count: 2},
		{Action: audit.ConsentChanged, Actor: member, Member: member, Ref: consent.Ref(consent.GrantID{9}, 2), Count: 1},
		{Action: audit.EmergencyDirective, Actor: member, Member: member, Mask: 0xff, Count: 1},
		{Action: audit.ErasureRequested, Actor: patient, Member: member, Ref: tx.Hash{1}, Count: 3},
		{Action: audit.Erased, Actor: patient, Member: member, Ref: tx.Hash{1}, Count: 3},
		{Action: audit.ErasureRefused, Actor: member, Member: member, Ref: tx.Hash{1}, Count: 3},
		{Action: audit.EmergencyDeclared, Actor: who, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}, Count: 2},
		{Action: audit.EmergencyWidened, Actor: who, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}, Mask: 0xff},
		{Action: audit.EmergencyExtended, Actor: tx.Account{5}, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}},
		{Action: audit.EmergencyOverdue, Actor: who, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}, Count: 1},
		{Action: audit.EmergencyAttested, Actor: who, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}, Root: tx.Hash{1}},
		{Action: audit.EmergencyReviewed, Actor: tx.Account{6}, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}, Count: 2, Root: tx.Hash{1}},
		{Action: audit.EmergencyDisputed, Actor: patient, Member: member, Purpose: uint8(consent.BTG), Ref: tx.Hash{3}},
		{Action: audit.GuardiansNamed, Actor: patient, Member: member, Count: 2},
		{Action: audit.RecoveryRequested, Actor: who, Member: member, Ref: tx.Hash{2}, Count: 1},
		{Action: audit.RecoveryLapsed, Member: member, Ref: tx.Hash{2}, Count: 1},
		{Action: audit.RecoverySession, Actor: patient, Member: member, Purpose: uint8(consent.PATRQT), Ref: tx.Hash{1}, Mask: 0xff},
	} {
		r.Patient, r.Seq = patient, uint64(i+1)
		out = append(out, audit.Link{Index: uint64(100 + i), Height: uint64(10 + i), Time: uint64(at.Unix()) + uint64(i)*60, Tx: tx.Hash{byte(i)}, Record: r})
	}
	return out
}

// TestTheLedgersEntriesReadAsAuditEvents: a patient sees accesses made at other members, and which
// of them got nothing.
func TestTheLedgersEntriesReadAsAuditEvents(t *testing.T) {
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	events := Ledger{Chain: "test", Patient: alice, Real: 0xff}.Events(links())
	var got []string
	for i := range events {
		b, err := site.AuditEvent(&events[i], "")
		if err != nil {
			t.Fatal(err)
		}
		r, err := fhir.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		for _, issue := range v.Validate(t.Context(), r) {
			if issue.Severity == validate.Error && issue.Code != validate.CodeProfileUnknown {
				t.Errorf("%+v\n%s", issue, b)
			}
		}
		var o object
		_ = json.Unmarshal(b, &o)
		p := profileOf(o)
		if p != "" {
			if _, err := profilesHere(); err == nil {
				if wrong := check(t, o, profiles+p); len(wrong) > 0 {
					t.Errorf("%s: %v", p, wrong)
				}
			}
		}
		got = append(got, strings.Join(append([]string{string(events[i].Kind), string(events[i].Outcome), p}, codes(o["subtype"])...), " "))
		if !strings.Contains(string(b), `"system":"urn:salus:log"`) {
			t.Errorf("the place on the ledger is missing: %s", b)
		}
	}
	authz, emergency, disclose, attr := systemAuthZ+"|AuthZ-Consent", systemDCM+"|110127", systemLifecycle+"|disclose", systemDCM+"|110137"
	want := []string{
		"enrol 0  " + attr, "keys 0  " + attr, "grant 0 ", "decide 0 AuthZconsent " + authz, "disclose 0 PrivacyDisclosure.Source " + disclose,
		"decide 0 AuthZconsent " + authz + " " + emergency, "disclose 0 PrivacyDisclosure.Source " + disclose, "decide 8 AuthZconsent " + authz,
		"logout 0  " + systemDCM + "|110123", "amend 0 ", "revoke 0 ", "keys 0  " + attr, "amend 0 ",
		"amend 0 ", "amend 0 ", "amend 0 ", "amend 0 ", "override 0  " + emergency, "override 0  " + emergency, "override 0  " + emergency, "verify 4 ", "attest 0 ", "verify 0 ", "verify 0 ",
		"keys 0  " + attr, "keys 0  " + attr, "keys 0  " + attr, "decide 0  " + authz,
	}
	for a := range audit.Action(255) { // what happened must always be writable
		if !a.Known() {
			continue
		}
		e := Ledger{Chain: "test", Patient: alice}.Events([]audit.Link{{Time: uint64(at.Unix()), Record: audit.Record{Action: a, Actor: tx.Account{2}, Member: tx.Account{3}}}})
		if err := e[0].Valid(); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
}

func TestAnEventThatSaysTooLittleIsNone(t *testing.T) {
	for name, change := range map[string]func(*Event){
		"kind": func(e *Event) { e.Kind = "x" }, "time": func(e *Event) { e.Time = time.Time{} }, "outcome": func(e *Event) { e.Outcome = "1" },
		"agent": func(e *Event) { e.User, e.Client, e.Organization = Who{}, Who{}, Who{} },
	} {
		e := wholeEvent(Read)
		change(&e)
		if _, err := site.AuditEvent(&e, ""); err == nil {
			t.Errorf("without %s: accepted", name)
		}
	}
	for status, want := range map[int]Outcome{200: Success, 304: Success, 401: Serious, 403: Serious, 404: Minor, 422: Minor, 500: Major} {
		if got := OutcomeOf(status); got != want {
			t.Errorf("%d: got %s, want %s", status, got, want)
		}
	}
}

// What was asked for at an address that names nothing is told as it was asked, and not as a reference.
func TestAnAddressThatNamesNothingIsNoReference(t *testing.T) {
	for address, want := range map[string]string{
		"Patient/1":                  `"what":{"reference":"Patient/1"}`,
		"Patient/1/_history/2":       `"what":{"reference":"Patient/1/_history/2"}`,
		"Patient/_history":           `"description":"Patient/_history"`,
		"Patient/a_b":                `"description":"Patient/a_b"`,
		"Nonsense/1":                 `"description":"Nonsense/1"`,
		"Patient/1/_history/a b":     `"description":"Patient/1/_history/a b"`,
		"Patient/\x00\r\n\xff\u0085": `"description":"Patient/"`,
		"\t\u0085 ":                  `"description":"an address without a name"`,
	} {
		e := Event{Kind: Read, Outcome: Minor, Time: at, User: Who{Reference: "Practitioner/1"}, Resources: []string{address}}
		s := Site{Name: "node.example", Observer: Who{Value: "1"}}
		b, err := s.AuditEvent(&e, "local-1")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), want) {
			t.Errorf("%q: got %s, want %s", address, b, want)
		}
	}
}
