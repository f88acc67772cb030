package smart

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"salus/internal/passkey"
	"salus/ledger/tx"
)

// admission is one that is taken, of an app that the organisation answers for.
func admission(t *testing.T, w *world) *Admission {
	t.Helper()
	own := Client{ID: "own", Name: "Own", Auth: AuthNone, Redirects: []string{callback}, Grants: []string{grantCode, grantRefresh}, Approved: true, Purposes: []string{"TREAT", "BTG"}}
	own.Scopes, _ = parseScopes("openid fhirUser online_access user/*.cruds")
	if _, _, err := w.Register(own); err != nil {
		t.Fatal(err)
	}
	u := doctor
	return &Admission{Client: "own", Redirect: callback, Challenge: challenge(), Scope: "openid fhirUser online_access user/*.cruds", User: &u, Purpose: "TREAT", SignedIn: noon}
}

func TestWhoSignedInAtThePortalIsAdmittedWithoutAPage(t *testing.T) {
	w := newWorld(t)
	a := admission(t, w)
	code, err := w.Admit(a)
	if err != nil {
		t.Fatal(err)
	}
	out := w.post("/token", redeemForm("own", code))
	tok, err := w.bears(out.str("access_token"))
	if err != nil || tok.User != doctor.ID || tok.Purpose != "TREAT" || tok.SignedIn != noon.Unix() || tok.Declared != "" {
		t.Errorf("got %+v, %v", tok, err)
	}
	if out := w.post("/token", redeemForm("own", code)); out.str("access_token") != "" {
		t.Error("the code served twice")
	}
	// Online access ends with the session, which no browser has.
	code, err = w.Admit(a)
	if err != nil {
		t.Fatal(err)
	}
	out = w.post("/token", redeemForm("own", code))
	w.pass(time.Hour)
	if out := w.post("/token", form("grant_type", "refresh_token", "client_id", "own", "refresh_token", out.str("refresh_token"))); out.str("access_token") != "" {
		t.Error("it was refreshed after the session")
	}
}

func TestWhatIsConfirmedOfAnEmergencyStandsInItsTokenAlone(t *testing.T) {
	w := newWorld(t)
	a := admission(t, w)
	a.User.Emergency, a.Purpose, a.Declared = true, "BTG", "what she confirmed"
	code, err := w.Admit(a)
	if err != nil {
		t.Fatal(err)
	}
	out := w.post("/token", redeemForm("own", code))
	tok, err := w.bears(out.str("access_token"))
	if err != nil || tok.Declared != a.Declared || tok.Purpose != "BTG" {
		t.Errorf("got %+v, %v", tok, err)
	}
}

func TestWhoIsNotAdmitted(t *testing.T) {
	for rule, change := range map[string]func(w *world, a *Admission){
		"an app that is not registered":          func(_ *world, a *Admission) { a.Client = "other" },
		"an app that asks its users":             func(_ *world, a *Admission) { a.Client = "public" },
		"another address":                        func(_ *world, a *Admission) { a.Redirect = "https://evil.example/" },
		"no challenge":                           func(_ *world, a *Admission) { a.Challenge = "" },
		"nobody":                                 func(_ *world, a *Admission) { a.User = nil },
		"a patient":                              func(_ *world, a *Admission) { a.User.FHIRUser = "Patient/p" },
		"no purpose":                             func(_ *world, a *Admission) { a.Purpose = "" },
		"a purpose that is not the app's":        func(_ *world, a *Admission) { a.Purpose = "HRESCH" },
		"a purpose that is not hers":             func(_ *world, a *Admission) { a.User.Purposes = []string{"HPAYMT"} },
		"an emergency that was not confirmed":    func(_ *world, a *Admission) { a.User.Emergency, a.Purpose = true, "BTG" },
		"an emergency of who has no privilege":   func(_ *world, a *Admission) { a.User.Emergency, a.Purpose, a.Declared = false, "BTG", "x" },
		"a confirmation that is for no purpose":  func(_ *world, a *Admission) { a.Declared = "x" },
		"scopes that are not the app's":          func(_ *world, a *Admission) { a.Scope = "system/*.rs" },
		"scopes that a patient has to be chosen": func(_ *world, a *Admission) { a.Scope = "patient/*.rs" },
	} {
		w := newWorld(t)
		a := admission(t, w)
		change(w, a)
		if code, err := w.Admit(a); err == nil || code != "" {
			t.Errorf("%s: got a code", rule)
		}
	}
}

func TestPasskeysAreKeptCountedAndRemoved(t *testing.T) {
	w := newWorld(t)
	dir, key := t.TempDir(), [32]byte{1}
	disk, err := OpenDisk(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	p := &Passkeys{disk, w.now}
	k, err := passkey.New(strings.NewReader(strings.Repeat("k", 64)), "portal.example.org", "https://portal.example.org")
	if err != nil {
		t.Fatal(err)
	}
	one := Passkey{ID: bytes.Repeat([]byte{1}, 16), User: "a", Account: tx.Account{1}, Key: k.Public(), Count: 3, Label: "Phone"}
	if err := p.Add(one); err != nil {
		t.Fatal(err)
	}
	if err := p.Add(one); !errors.Is(err, ErrPasskeyTaken) {
		t.Errorf("twice: got %v", err)
	}
	other := one
	other.User = "b" // nor is it somebody else's then
	if err := p.Add(other); !errors.Is(err, ErrPasskeyTaken) {
		t.Errorf("another's: got %v", err)
	}
	for i, want := range map[uint32]error{3: ErrPasskeyCount, 0: ErrPasskeyCount, 2: ErrPasskeyCount} {
		if err := p.Use(one.ID, i); !errors.Is(err, want) {
			t.Errorf("count %d: got %v, want %v", i, err, want)
		}
	}
	if err := p.Use(one.ID, 4); err != nil {
		t.Fatal(err)
	}
	// It is there after a restart, and under another key it is not read.
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenDisk(dir, [32]byte{2}); !errors.Is(err, ErrKey) {
		t.Errorf("another key: got %v", err)
	}
	if disk, err = OpenDisk(dir, key); err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	p.Keeper = disk
	got, err := p.Find(one.ID)
	if err != nil || got.Count != 4 || got.Used != noon.Unix() || got.Made != noon.Unix() || !got.Key.Equal(one.Key) || got.Account != one.Account {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := p.Drop("b", one.ID); !errors.Is(err, ErrNoPasskey) {
		t.Errorf("removed by another: got %v", err)
	}
	for i := range maxPasskeys - 1 {
		next := one
		next.ID = bytes.Repeat([]byte{byte(i + 2)}, 16)
		if err := p.Add(next); err != nil {
			t.Fatal(err)
		}
	}
	next := one
	next.ID = bytes.Repeat([]byte{99}, 16)
	if err := p.Add(next); !errors.Is(err, ErrPasskeys) {
		t.Errorf("one too many: got %v", err)
	}
	if err := p.Drop("a", one.ID); err != nil {
		t.Fatal(err)
	}
	if err := p.Use(one.ID, 5); !errors.Is(err, ErrNoPasskey) {
		t.Errorf("after its removal: got %v", err)
	}
	if list, err := p.Of("a"); err != nil || len(list) != maxPasskeys-1 {
		t.Errorf("got %d, %v", len(list), err)
	}
	synced := one // has no counter
	synced.ID, synced.User, synced.Count = bytes.Repeat([]byte{98}, 16), "c", 0
	if err := p.Add(synced); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := p.Use(synced.ID, 0); err != nil {
			t.Errorf("without a counter: got %v", err)
		}
	}
}
