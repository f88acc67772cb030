package hl7

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const adt = "MSH|^~\\&|LAB|HOSP|R|F|20260102030405||ADT^A01|7|P|2.5\rPID|1||100^^^H&1.2.3&ISO^MR~200^^^N||Test\\T\\Co^Ann^\"\"||1980\rZAB|x\\.br\\y\r"

func mustParse(t testing.TB, s string) *Message {
	t.Helper()
	m, err := Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPathsReadParts(t *testing.T) {
	m := mustParse(t, adt)
	for path, want := range map[string]string{
		"PID-3": "100", "PID-3[2].1": "200", "PID-3.4.2": "1.2.3", "PID-5.1": "Test&Co", "PID-5.3": "", "PID-99": "",
		"MSH-1": "|", "MSH-2": "^~\\&", "MSH-9.2": "A01", "ZAB-1": "x\ny", "QQQ-1": "", "nonsense": "",
	} {
		if got := m.Get(path).Plain(); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if !m.Get("PID-5.3").Null() || m.Get("PID-5.3").Absent() || !m.Get("PID-5.4").Absent() {
		t.Error("null and absent are one")
	}
}

func TestParseRefuses(t *testing.T) {
	for in, code := range map[string]string{
		"": CodeEmpty, "PID|1": CodeNoHeader, "MSH|^^~\\&|": CodeDelimiters, "MSHA^~\\&": CodeDelimiters,
		"MSH|^~\\&|\rnot a segment\r": CodeSegment, "MSH|^~\\&|\rMSH|^~\\&|\r": CodeSequence,
		"MSH|^~\\&|\rPID" + strings.Repeat("|", MaxFields+1): CodeSize,
	} {
		if _, err := Parse([]byte(in)); !errors.Is(err, &Error{Code: code}) {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}

func TestCharacterSets(t *testing.T) {
	for _, c := range []struct{ set, raw, want string }{
		{"8859/1", "\xfc", "ü"}, {"UNICODE UTF-8", "ü", "ü"}, {"", "ü", "ü"}, {"8859/15", "\xa4", "€"}, {"ASCII", "\xfc", ""}, {"UNICODE UTF-8", "\xfc", ""}, {"ISO IR87", "\xfc", ""},
	} {
		m := mustParse(t, "MSH|^~\\&||||||||||||||||"+c.set+"\rPID|"+c.raw)
		got, err := m.Get("PID-1").Text()
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %q %v, want %q", c.set, got, err, c.want)
		}
	}
}

func TestTimes(t *testing.T) {
	for in, want := range map[string]Precision{"2026": Year, "202601": Month, "20260131": Day, "202601312359": Minute, "20260131235959.1234+0530": Fraction} {
		if got, err := ParseTime(in); err != nil || got.Precision != want {
			t.Errorf("%s: got %v %v, want %v", in, got.Precision, err, want)
		}
	}
	for _, in := range []string{"", "20", "20261301", "20260230", "2026013124", "2026x", "20260131+99", "20260131.1"} {
		if _, err := ParseTime(in); !errors.Is(err, &Error{Code: CodeTime}) {
			t.Errorf("%q: got %v", in, err)
		}
	}
}

func TestAckNamesPlaceAndCondition(t *testing.T) {
	m := mustParse(t, adt)
	a := BuildAck(m, Ack{Code: AE, ControlID: "a1", Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Errors: []error{fail(CodeRequired, "PID", 2, 3, RequiredMissing)}})
	want := "MSH|^~\\&|R|F|LAB|HOSP|20260102030405+0000||ACK^A01^ACK|a1|P|2.5\rMSA|AE|7\rERR||PID^^3|101^Required field missing^HL70357|E|hl7-required\r"
	if got := string(a.Encode()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCheckGivesTheConditionsOfTable0357(t *testing.T) {
	for in, want := range map[string]int{
		"MSH|^~\\&|||||||ZZZ^Z01|1|P|2.5": 200, "MSH|^~\\&|||||||ADT^A99|1|P|2.5": 201, "MSH|^~\\&|||||||ADT^A01|1|T|2.5": 202,
		"MSH|^~\\&|||||||ADT^A01|1|P|9.9": 203, "MSH|^~\\&|||||||ADT^A01||P|2.5": 101, "MSH|^~\\&||||||||1|P|2.5": 200,
	} {
		errs := Accepts{Processing: "P"}.Check(mustParse(t, in))
		var e *Error
		if len(errs) != 1 || !errors.As(errs[0], &e) || e.Condition != want {
			t.Errorf("got %v, want %d", errs, want)
		}
	}
	if errs := (Accepts{Processing: "P"}).Check(mustParse(t, adt)); errs != nil {
		t.Error(errs)
	}
}

func TestBatchesKeepEveryMessage(t *testing.T) {
	b, err := ReadBatch([]byte("FHS|^~\\&|\rBHS|^~\\&|\r" + adt + adt + "BTS|2\rFTS|1\r"))
	if err != nil || b.Len() != 2 || string(b.Raw(1)) != adt {
		t.Fatalf("got %v", err)
	}
	for in, code := range map[string]string{
		"BHS|^~\\&|\r" + adt + "BTS|3\r": CodeCount, "BHS|^~\\&|\r" + adt + "BTS|one\r": CodeCount, "FHS|^~\\&|\rBHS|^~\\&|\r" + adt + "BTS\rFTS|2\r": CodeCount,
		"BTS|1\r": CodeSequence, "PID|1\r": CodeNoHeader, "": CodeEmpty, "BHS\r": CodeNoHeader, "BHS|^~\\&|\rBHS|^~\\&|\r" + adt + "BTS\rBTS\r": CodeSequence,
		"BHS|^~\\&|\rFHS|^~\\&|\r" + adt: CodeSequence, "FHS|^~\\&|\rBHS|^~\\&|\rFTS|1\r": CodeSequence, "FHS|^~\\&|\rFTS\r" + adt: CodeSequence, "BHS|^~\\&|\rPID|1\r": CodeNoHeader,
	} {
		if _, err := ReadBatch([]byte(in)); !errors.Is(err, &Error{Code: code}) {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}

func TestABatchIsAnsweredInItsEnvelope(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]string{
		"BHS|^~\\&|A|B|C|D|2026||n|c|7\r" + adt + adt + "BTS|2\r": "BHS|^~\\&|C|D|A|B|20260102030405+0000||||S1|7\rone\rBTS|1\r",
		"\rFHS#^~\\&#A\nBHS#^~\\&\n" + adt + "BTS\nBHS|^~\\&|\rBTS|\rFTS|2\r": "FHS#^~\\&###A##20260102030405+0000####S1\rBHS#^~\\&#####20260102030405+0000####S1\rone\rBTS#1\r" +
			"BHS|^~\\&|||||20260102030405+0000||||S1\rBTS|0\rFTS|2\r",
	} {
		b, err := ReadBatch([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		acks := make([][]byte, b.Len())
		acks[0] = []byte("one\r")
		if got := string(b.Answer(acks, "S1", now)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestGroupsFollowTheStructure(t *testing.T) {
	m := mustParse(t, "MSH|^~\\&|||||||ORU^R01\rPID|1\rPV1|1\rORC|RE\rOBR|1\rNTE|1\rOBX|1\rNTE|1\rOBX|2\rSPM|1\rOBR|2\rOBX|1\rZZZ|1\r")
	g := m.Groups()
	if len(g.Groups) != 3 || len(g.Groups[1].Segments) != 3 || len(g.Groups[1].Groups) != 3 || len(g.Groups[2].Groups) != 1 {
		t.Errorf("got %+v", g)
	}
}

func TestSamplesEncodeExactly(t *testing.T) {
	dir := "../../shared/data/hl7v2"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("../shared/data/hl7v2 is absent: the public samples are not tested")
	}
	n := 0
	filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".hl7" && filepath.Ext(path) != ".txt" {
			return err
		}
		data, _ := os.ReadFile(path)
		b, err := ReadBatch(data)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
			return nil
		}
		for i := range b.Len() {
			m, err := Parse(b.Raw(i))
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(path), err)
				continue
			}
			if !bytes.Contains(data, m.Encode()) {
				t.Errorf("%s: other bytes", filepath.Base(path))
			}
			n++
		}
		return nil
	})
	t.Logf("%d messages", n)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(adt))
	f.Add([]byte("\r\nMSH|^~\\&|\r\nOBX|1|TX|a\nb\r"))
	f.Add([]byte("FHS|^~\\&|\rBHS|^~\\&|\r" + adt + "BTS|1\rFTS|1\r"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := ReadBatch(data); err == nil {
			acks := make([][]byte, b.Len())
			for i := range acks {
				acks[i] = b.Raw(i)
			}
			if again, err := ReadBatch(b.Answer(acks, "1", time.Time{})); len(acks) > 0 && (err != nil || again.Len() < len(acks)) {
				t.Fatal("the answer is no batch of as many")
			}
		}
		m, err := Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Encode(), data) {
			t.Fatal("other bytes")
		}
		for i := range m.Len() {
			for j := 1; j <= m.At(i).Fields(); j++ {
				m.At(i).Field(j).Plain()
			}
		}
		m.Groups()
		Accepts{}.Check(m)
		if _, err := Parse(BuildAck(m, Ack{Code: AA}).Encode()); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(adt)))
	for b.Loop() {
		if _, err := Parse([]byte(adt)); err != nil {
			b.Fatal(err)
		}
	}
}
