package feed

import (
	"errors"
	"strings"
	"testing"

	"salus/hl7"
)

// TestWithoutRoomAMessageIsRefusedAndNotKept is what a sender learns when the disk is almost full: AR, and
// the same message is new when it comes again.
func TestWithoutRoomAMessageIsRefusedAndNotKept(t *testing.T) {
	w, full := &world{}, false
	var asked int
	f, err := Open(Config{Dir: t.TempDir(), Key: testKey, Apply: w.apply, Now: clock, Log: logger(t), Room: func(n int) error {
		asked = n
		if full {
			return errors.New("the disk is almost full")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := adt("A01", "1", "")
	a, err := f.Handle(t.Context(), before)
	if got := code(t, a, err); got != "AA" {
		t.Fatalf("got %s, want AA", got)
	}
	full = true
	raw := adt("A01", "2", "")
	for _, x := range []struct{ modes, want string }{
		{"", "AR 207"}, {"|||AL|NE", "CR 207"}, {"|||AL|AL", "CR 207"}, {"|||NE|AL", "AR 207"}, {"|||ER|", "CR 207"}, {"|||SU|", ""}, {"||||SU", ""},
	} {
		a, err := f.Handle(t.Context(), []byte(strings.Replace(string(raw), "|P|2.5.1", "|P|2.5.1"+x.modes, 1)))
		got := ""
		if a != nil || err != nil {
			got = code(t, a, err)
		}
		if got != x.want {
			t.Errorf("%q: got %q, want %q", x.modes, got, x.want)
		}
		if a != nil && hl7Of(t, a).Get("ERR-8").Plain() == "" && hl7Of(t, a).Get("ERR-5.1").Plain() == "" {
			t.Errorf("%q: ERR does not name the reason: %q", x.modes, a)
		}
	}
	if a, err := f.Handle(t.Context(), []byte("no message")); code(t, a, err) != "AR" { // it has no version, so that no ERR can be written
		t.Errorf("no message: got %s", code(t, a, err))
	}
	if asked != len("no message") {
		t.Errorf("asked for %d bytes", asked)
	}
	if s := f.Stats(); len(w.applied) != 1 || s.Pending != 0 || s.Received != 1 || len(f.Letters()) != 0 {
		t.Errorf("got %+v and %d applied, want the first message alone", s, len(w.applied))
	}
	// What was answered before is answered again; it needs no room.
	if a, err := f.Handle(t.Context(), before); code(t, a, err) != "AA" {
		t.Errorf("the first again: got %s", code(t, a, err))
	}
	full = false
	if a, err := f.Handle(t.Context(), raw); code(t, a, err) != "AA" || len(w.applied) != 2 {
		t.Errorf("with room again: got %s, %d applied", code(t, a, err), len(w.applied))
	}
}

// TestWhatWasTakenGoesOnWithoutRoom does what is pending when the disk is almost full.
func TestWhatWasTakenGoesOnWithoutRoom(t *testing.T) {
	w, full := &world{fail: errors.New("away")}, false
	f, err := Open(Config{Dir: t.TempDir(), Key: testKey, Apply: w.apply, Now: clock, Log: logger(t), Room: func(int) error {
		if full {
			return errors.New("the disk is almost full")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw := adt("A01", "1", "")
	if a, err := f.Handle(t.Context(), raw); a != nil || err == nil {
		t.Fatalf("got %q, %v, want no answer", a, err)
	}
	full, w.fail = true, nil
	if err := f.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, err := f.Handle(t.Context(), raw); code(t, a, err) != "AA" || len(w.applied) != 1 {
		t.Errorf("got %s, %d applied, want it done once", code(t, a, err), len(w.applied))
	}
}

func hl7Of(t *testing.T, raw []byte) *hl7.Message {
	t.Helper()
	m, err := hl7.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
