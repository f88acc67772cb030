package feed

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"salus/hl7"
)

func batch(trailer string, messages ...[]byte) []byte {
	return []byte("BHS|^~\\&|APP|FAC|SALUS|NODE|20260102||||7\r" + string(bytes.Join(messages, nil)) + trailer)
}

// answered are the acknowledgements in a batch, by code and control id.
func answered(t *testing.T, answer []byte, err error) string {
	t.Helper()
	if err != nil {
		return "none"
	}
	if head := "BHS|^~\\&|SALUS|NODE|APP|FAC|"; !strings.HasPrefix(string(answer), head) {
		t.Fatalf("got %q, want a batch", answer)
	}
	b, err := hl7.ReadBatch(answer)
	if err != nil {
		t.Fatalf("the answer is no batch: %v", err)
	}
	var out []string
	for i := range b.Len() {
		m := hl7Of(t, b.Raw(i))
		out = append(out, m.Get("MSA-1").Plain()+" "+m.Get("MSA-2").Plain())
	}
	return strings.Join(out, ", ")
}

// TestABatchIsDoneAndAnsweredMessageByMessage also when it comes again, and when its messages come again alone.
func TestABatchIsDoneAndAnsweredMessageByMessage(t *testing.T) {
	dir, w := t.TempDir(), &world{}
	f := open(t, dir, w)
	one := adt("A01", "1", "")
	raw := batch("BTS|4\r", one, adt("ZZZ", "2", ""), []byte("MSH|\r"), adt("A08", "3", ""))
	for range 2 {
		a, err := f.Handle(t.Context(), raw)
		if got := answered(t, a, err); got != "AA 1, AR 2, AR , AA 3" {
			t.Errorf("got %s", got)
		}
		if !strings.HasSuffix(strings.SplitN(string(a), "\r", 2)[0], "|7") || !strings.HasSuffix(string(a), "\rBTS|4\r") {
			t.Errorf("got %q, want BHS-12 and BTS-1", a)
		}
		_ = f.Close()
		f = open(t, dir, w)
	}
	a, err := f.Handle(t.Context(), one)
	if got := code(t, a, err); got != "AA" || strings.Join(w.applied, " ") != "1 3" {
		t.Errorf("got %s, applied %v, want each once", got, w.applied)
	}
	if s := f.Stats(); s.Received != 4 || s.Applied != 2 || s.Letters != 2 {
		t.Errorf("got %+v", s)
	}
	a, err = f.Handle(t.Context(), batch("BTS|0\r"))
	if got := answered(t, a, err); got != "" {
		t.Errorf("an empty batch: got %s", got)
	}
	quiet := bytes.Replace(adt("A08", "4", ""), []byte("|P|2.5.1"), []byte("|P|2.5.1|||NE|NE"), 1)
	if a, err := f.Handle(t.Context(), batch("BTS|1\r", quiet)); a != nil || err != nil {
		t.Errorf("nobody asked for an answer: got %q, %v", a, err)
	}
	a, err = f.Handle(t.Context(), append([]byte("FHS|^~\\&|A|B\r"), append(batch("BTS|1\r", adt("A08", "5", "")), "FTS|1\r"...)...))
	if err != nil || !strings.HasPrefix(string(a), "FHS|^~\\&|||A|B|") || !strings.HasSuffix(string(a), "BTS|1\rFTS|1\r") {
		t.Errorf("a file: got %q, %v", a, err)
	}
}

// TestABatchIsNotAnsweredBeforeAllOfItIsDone: what was done of it is not done again.
func TestABatchIsNotAnsweredBeforeAllOfItIsDone(t *testing.T) {
	w := &world{}
	var fail error
	f, err := Open(Config{Dir: t.TempDir(), Key: testKey, Now: clock, Log: logger(t), Apply: func(ctx context.Context, m Message) error {
		if m.Parsed.ControlID() == "2" && fail != nil {
			return fail
		}
		return w.apply(ctx, m)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw := batch("BTS|3\r", adt("A01", "1", ""), adt("A01", "2", ""), adt("A01", "3", ""))
	fail = errors.New("store is away")
	a, err := f.Handle(t.Context(), raw)
	if got := answered(t, a, err); got != "none" || strings.Join(w.applied, " ") != "1" {
		t.Errorf("got %s, applied %v", got, w.applied)
	}
	fail = nil
	a, err = f.Handle(t.Context(), raw)
	if got := answered(t, a, err); got != "AA 1, AA 2, AA 3" || strings.Join(w.applied, " ") != "1 2 3" {
		t.Errorf("got %s, applied %v", got, w.applied)
	}
}

// TestABatchThatCannotBeSplitIsRefusedWhole: nothing of it is done, and the letter says why.
func TestABatchThatCannotBeSplitIsRefusedWhole(t *testing.T) {
	one := adt("A01", "1", "")
	var many [][]byte
	for range maxBatch + 1 {
		many = append(many, one)
	}
	for name, x := range map[string]struct {
		raw  []byte
		code string
	}{
		"count":   {batch("BTS|2\r", one), hl7.CodeCount},
		"nested":  {batch("BTS|2\r", one, batch("BTS|1\r", one)), hl7.CodeSequence},
		"large":   {batch("", many...), hl7.CodeSize},
		"between": {batch("BTS|1\rPID|1\r", one), hl7.CodeNoHeader},
	} {
		w := &world{}
		f := open(t, t.TempDir(), w)
		for range 2 {
			a, err := f.Handle(t.Context(), x.raw)
			if got := hl7Of(t, a).Get("MSA-1").Plain(); err != nil || got != "AR" {
				t.Errorf("%s: got %s, %v", name, got, err)
			}
		}
		l := f.Letters()
		if len(w.applied) != 0 || len(l) != 1 || l[0].Reason != x.code {
			t.Errorf("%s: got %+v and %d applied, want a letter with the reason %s", name, l, len(w.applied), x.code)
		}
		if err := f.Replay(t.Context(), l[0].Number); reason(err) != x.code {
			t.Errorf("%s, replayed: got %v", name, err)
		}
	}
}
