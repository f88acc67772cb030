package feed

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"salus/hl7"
	"salus/hl7/mllp"
)

// A line is a sender's connection to a feed, byte by byte.
type line struct {
	t *testing.T
	c net.Conn
	r *mllp.Reader
}

func dialed(t *testing.T, f *Inbound) *line {
	t.Helper()
	c, err := net.Dial("tcp", serve(t, f, mllp.Limits{Connections: 2, Message: 4096, Idle: time.Minute, Read: time.Minute, Write: time.Minute}, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &line{t, c, mllp.NewReader(c, 4096)}
}

func (l *line) write(b []byte) {
	l.t.Helper()
	if _, err := l.c.Write(b); err != nil {
		l.t.Fatal(err)
	}
}

// answer is MSA-1, MSA-2 and the condition of the next acknowledgement.
func (l *line) answer() string {
	l.t.Helper()
	raw, err := l.r.Next()
	if err != nil {
		l.t.Fatal(err)
	}
	m, err := hl7.Parse(raw)
	if err != nil {
		l.t.Fatal(err)
	}
	return strings.TrimSpace(m.Get("MSA-1").Plain() + " " + m.Get("MSA-2").Plain() + " " + m.Get("ERR-3.1").Plain())
}

// Frames are found whatever the writes that they come in.
func TestFramesAreNotWrites(t *testing.T) {
	w := &world{}
	l := dialed(t, open(t, t.TempDir(), w))
	frame := func(id string) []byte {
		var b bytes.Buffer
		if err := mllp.Write(&b, adt("A01", id, "")); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	whole := frame("1") // one message in five writes
	for i := range 5 {
		l.write(whole[i*len(whole)/5 : (i+1)*len(whole)/5])
	}
	if got := l.answer(); got != "AA 1" {
		t.Errorf("got %s, want AA 1", got)
	}
	l.write(append(frame("2"), frame("3")...)) // two in one
	for _, want := range []string{"AA 2", "AA 3"} {
		if got := l.answer(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := strings.Join(w.applied, " "); got != "1 2 3" {
		t.Errorf("applied %s", got)
	}
}

// Segments that end with LF alone, and escapes of bytes, are read; what cannot be read is refused and not applied.
func TestTextIsReadAsItsSenderMeansIt(t *testing.T) {
	var names []string
	f, err := Open(Config{
		Dir: t.TempDir(), Accepts: hl7.Accepts{Processing: "P"}, Now: clock, Log: logger(t),
		Apply: func(_ context.Context, m Message) error {
			name, err := m.Parsed.Segment("PID").Field(5).Component(1).Text()
			if err == nil {
				names = append(names, name)
			}
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	l := dialed(t, f)
	said := func(id, charset, name, end string) []byte {
		return []byte("\x0bMSH|^~\\&|APP|FAC|SALUS|NODE|20260102||ADT^A01|" + id + "|P|2.5.1||||||" + charset + end + "PID|1||S1^^^FAC^MR||" + name + "^Ann" + end + "\x1c\r")
	}
	for _, c := range []struct{ id, charset, name, end, want, read string }{
		{"1", "", "Example", "\n", "AA 1", "Example"},
		{"2", "", `Ex\X41\mple`, "\r", "AA 2", "ExAmple"},
		{"3", "8859/1", "M\xfcller", "\r", "AA 3", "Müller"},
		{"4", "UNICODE UTF-8", "M\xfcller", "\r", "AE 4 102", ""},
		{"5", "ISO IR87", "Example", "\r", "AR 5 103", ""}, // its bytes are ASCII, its text may not be
		{"6", "KLINGON", "Example", "\r", "AR 6 103", ""},
	} {
		names = nil
		l.write(said(c.id, c.charset, c.name, c.end))
		if got := l.answer(); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.charset, c.name, got, c.want)
		}
		if got := strings.Join(names, " "); got != c.read {
			t.Errorf("%s %s: applied %q, want %q", c.charset, c.name, got, c.read)
		}
	}
	if got, want := f.Stats(), (Stats{Received: 6, Applied: 3, Letters: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
