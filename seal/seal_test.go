package seal

import (
	"bytes"
	"crypto/hpke"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"salus/threshold"
)

func TestSealedRecordsOpenThroughAnyTCustodians(t *testing.T) {
	for _, c := range []struct {
		n, count   int
		custodians []int
		list       []int
	}{
		{1, 1, []int{1}, []int{0}},
		{4, 1, []int{2, 3, 4}, []int{0}},
		{4, 9, []int{1, 3, 4}, []int{0, 4, 8}},
		{7, 20, []int{2, 7, 1, 5, 6}, []int{3, 7, 19}},
		{7, 20, upTo(7), []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}},
	} {
		w := newWorld(t, c.n, c.count, 300)
		h := &w.batch.Header
		if err := VerifyManifest(h, w.batch.Entries); err != nil {
			t.Fatal(err)
		}
		keys, err := Combine(h, w.entries(c.list), c.list, w.all(t, c.custodians, c.list))
		if err != nil {
			t.Fatalf("n=%d custodians %v: %v", c.n, c.custodians, err)
		}
		for k, i := range c.list {
			if err := VerifyEntry(h.ManifestRoot, i, c.count, &w.batch.Entries[i], ManifestProof(w.batch.Entries, i)); err != nil {
				t.Fatal(err)
			}
			got, err := Decrypt(h, &w.batch.Entries[i], keys[k], w.batch.Ciphertexts[i])
			if err != nil || !bytes.Equal(got, w.recs[i].Plain) {
				t.Fatalf("n=%d record %d: got other bytes (%v)", c.n, i, err)
			}
		}
		for i, held := range w.held {
			if held.Opening != w.batch.Opening || held.Patient != testPatient {
				t.Errorf("custodian %d: got another opening or pseudonym", i+1)
			}
		}
	}
}

func TestSealRefusesWhatNoAuthorMaySeal(t *testing.T) {
	w := newWorld(t, 4, 2, 100)
	change := func(f func(cs []Custodian, rs []Record) ([]Custodian, []Record)) ([]Custodian, []Record) {
		return f(append([]Custodian(nil), w.publics...), append([]Record(nil), w.recs...))
	}
	for name, f := range map[string]func(cs []Custodian, rs []Record) ([]Custodian, []Record){
		"no records":         func(cs []Custodian, rs []Record) ([]Custodian, []Record) { return cs, nil },
		"too many records":   func(cs []Custodian, rs []Record) ([]Custodian, []Record) { return cs, testRecords(MaxRecords+1, 1) },
		"repeated record id": func(cs []Custodian, rs []Record) ([]Custodian, []Record) { rs[1].ID = rs[0].ID; return cs, rs },
		"unknown kind":       func(cs []Custodian, rs []Record) ([]Custodian, []Record) { rs[0].Kind = 2; return cs, rs },
		"record too large": func(cs []Custodian, rs []Record) ([]Custodian, []Record) {
			rs[0].Plain = make([]byte, MaxPlain+1)
			return cs, rs
		},
		"no custodians":        func(cs []Custodian, rs []Record) ([]Custodian, []Record) { return nil, rs },
		"custodian missing":    func(cs []Custodian, rs []Record) ([]Custodian, []Record) { return cs[:2], rs },
		"custodians reordered": func(cs []Custodian, rs []Record) ([]Custodian, []Record) { cs[0], cs[1] = cs[1], cs[0]; return cs, rs },
		"no key":               func(cs []Custodian, rs []Record) ([]Custodian, []Record) { cs[0].Public = nil; return cs, rs },
		"key of another suite": func(cs []Custodian, rs []Record) ([]Custodian, []Record) {
			sk, err := hpke.MLKEM1024P384().GenerateKey()
			if err != nil {
				t.Fatal(err)
			}
			cs[0].Public = sk.PublicKey()
			return cs, rs
		},
	} {
		cs, rs := change(f)
		if b, err := Seal(stream("x"), testChain, testAuthor, testPatient, 3, 3, cs, rs); !errors.Is(err, ErrInvalid) || b != nil {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	for _, th := range []int{0, 1, 2, 4, 5} {
		if _, err := Seal(stream("x"), testChain, testAuthor, testPatient, 3, th, w.publics, w.recs); !errors.Is(err, ErrInvalid) {
			t.Errorf("threshold %d of 4: got %v, want ErrInvalid", th, err)
		}
	}
	for _, chain := range []string{"", strings.Repeat("x", maxChain+1)} {
		if _, err := Seal(stream("x"), chain, testAuthor, testPatient, 3, 3, w.publics, w.recs); !errors.Is(err, ErrInvalid) {
			t.Errorf("chain of %d bytes: got %v, want ErrInvalid", len(chain), err)
		}
	}
	if _, err := Seal(stream("x"), testChain, [16]byte{}, testPatient, 3, 3, w.publics, w.recs); !errors.Is(err, ErrInvalid) {
		t.Errorf("no author: got %v, want ErrInvalid", err)
	}
	for _, n := range []int64{0, 40, 70} {
		if _, err := Seal(io.LimitReader(stream("x"), n), testChain, testAuthor, testPatient, 3, 3, w.publics, w.recs); err == nil {
			t.Errorf("%d random bytes: got nil, want an error", n)
		}
	}
}

func TestDecryptRefusesOtherBytesOtherKeysAndOtherEntries(t *testing.T) {
	w := newWorld(t, 4, 2, 100)
	h, e, ct := &w.batch.Header, w.batch.Entries[0], w.batch.Ciphertexts[0]
	keys, err := Combine(h, w.entries([]int{0, 1}), []int{0, 1}, w.all(t, upTo(3), []int{0, 1}))
	if err != nil {
		t.Fatal(err)
	}
	for i := range ct {
		bad := bytes.Clone(ct)
		bad[i] ^= 1
		if _, err := Decrypt(h, &e, keys[0], bad); !errors.Is(err, ErrCiphertext) {
			t.Fatalf("byte %d altered: got %v, want ErrCiphertext", i, err)
		}
	}
	if _, err := Decrypt(h, &e, keys[0], ct[:len(ct)-1]); !errors.Is(err, ErrCiphertext) {
		t.Errorf("truncated: got %v, want ErrCiphertext", err)
	}
	if _, err := Decrypt(h, &e, keys[0], w.batch.Ciphertexts[1]); !errors.Is(err, ErrCiphertext) {
		t.Errorf("another record's ciphertext: got %v, want ErrCiphertext", err)
	}
	if _, err := Decrypt(h, &e, keys[1], ct); !errors.Is(err, ErrAuthor) {
		t.Errorf("another record's key: got %v, want ErrAuthor", err)
	}
	other := *h
	other.PatientCommit[0] ^= 1
	if _, err := Decrypt(&other, &e, keys[0], ct); !errors.Is(err, ErrAuthor) {
		t.Errorf("another patient's header: got %v, want ErrAuthor", err)
	}
	size := e
	size.Size++
	if _, err := Decrypt(h, &size, keys[0], ct); !errors.Is(err, ErrCiphertext) {
		t.Errorf("another size: got %v, want ErrCiphertext", err)
	}
}

func TestNothingSecretPrints(t *testing.T) {
	w := newWorld(t, 4, 2, 64)
	keys, err := Combine(&w.batch.Header, w.entries([]int{0}), []int{0}, w.all(t, upTo(3), []int{0}))
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := newKey(t, "print")
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "a", keys[0], "b", seed, "c", w.held[0], "d", w.batch)
	outs := map[string]string{"log": log.String(), "stringers": keys[0].String() + seed.String() + w.held[0].String() + w.batch.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		outs[verb] = fmt.Sprintf(verb+verb+verb+verb, keys, seed, w.held[0], w.batch)
	}
	j, err := json.Marshal([]any{keys, seed})
	if err != nil {
		t.Fatal(err)
	}
	outs["json"] = string(j)
	for name, o := range outs {
		for _, s := range [][]byte{keys[0][:], seed[:], w.held[0].Shares[1][:], w.batch.Opening[:], testPatient[:]} {
			if strings.Contains(o, fmt.Sprintf("%x", s)) || strings.Contains(o, strings.Trim(fmt.Sprint(s[:5]), "[]")) {
				t.Errorf("%s: got a secret in the output", name)
			}
		}
		if !strings.Contains(o, redacted) {
			t.Errorf("%s: got no %q", name, redacted)
		}
	}
}

func TestErrorsTellNoSecret(t *testing.T) {
	w := newWorld(t, 4, 2, 64)
	shares := w.all(t, upTo(3), []int{0})
	shares[2][0] = threshold.Share{1}
	_, err := Combine(&w.batch.Header, w.entries([]int{0}), []int{0}, shares)
	if !errors.Is(err, ErrMismatch) {
		t.Fatalf("got %v, want ErrMismatch", err)
	}
	bad := bytes.Clone(w.batch.Envelopes[0])
	bad[0] ^= 1
	_, err2 := w.open(1, &w.batch.Header, bad)
	for _, e := range []error{err, err2} {
		for _, s := range [][]byte{w.held[0].Shares[1][:], testPatient[:], w.batch.Opening[:]} {
			if strings.Contains(e.Error(), fmt.Sprintf("%x", s)) || strings.Contains(e.Error(), string(s)) {
				t.Errorf("got a secret in %q", e)
			}
		}
	}
}

func TestSumIsInjectiveOverParts(t *testing.T) {
	seen := map[[32]byte]string{}
	for _, parts := range [][][]byte{
		nil,
		{nil},
		{nil, nil},
		{[]byte("a")},
		{[]byte("a"), nil},
		{nil, []byte("a")},
		{[]byte("ab")},
		{[]byte("a"), []byte("b")},
		{[]byte("b"), []byte("a")},
		{make([]byte, 600)},
		{make([]byte, 300), make([]byte, 300)},
	} {
		for _, label := range []string{"x", "xa", ""} {
			name, sum := fmt.Sprintf("%s %d parts %q", label, len(parts), parts), Sum(label, parts...)
			if was, ok := seen[sum]; ok {
				t.Errorf("got one hash for %s and %s", was, name)
			}
			seen[sum] = name
		}
	}
}

func TestBoxOpensOnlyUnderItsKeyAndInfo(t *testing.T) {
	_, a := newKey(t, "a")
	_, b := newKey(t, "b")
	info := Sum("answer", []byte("locate"))
	sealed, err := Box(a.PublicKey().Bytes(), info, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Unbox(a, info, sealed); err != nil || string(got) != "plain" {
		t.Errorf("got %q, %v", got, err)
	}
	if len(sealed) != Overhead+5 {
		t.Errorf("size: got %d, want %d", len(sealed), Overhead+5)
	}
	if _, err := Unbox(b, info, sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another key: got %v, want ErrOpen", err)
	}
	if _, err := Unbox(a, Sum("answer", []byte("other")), sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another info: got %v, want ErrOpen", err)
	}
	for _, n := range []int{0, 1, 1120, Overhead - 1, len(sealed) - 1} {
		if _, err := Unbox(a, info, sealed[:n]); !errors.Is(err, ErrOpen) {
			t.Errorf("first %d bytes: got %v, want ErrOpen", n, err)
		}
	}
	if _, err := Unbox(nil, info, sealed); !errors.Is(err, ErrInvalid) {
		t.Errorf("no key: got %v, want ErrInvalid", err)
	}
	for _, public := range [][]byte{nil, make([]byte, 1215), bytes.Repeat([]byte{0xff}, 1216)} {
		if _, err := Box(public, info, nil); !errors.Is(err, ErrInvalid) {
			t.Errorf("public key of %d bytes: got %v, want ErrInvalid", len(public), err)
		}
	}
}
