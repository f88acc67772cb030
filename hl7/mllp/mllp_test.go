package mllp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"salus/hl7"
)

func limits() Limits {
	return Limits{Connections: 2, Message: 1 << 20, Idle: time.Minute, Read: time.Minute, Write: time.Minute}
}

func frame(s string) string { return "\x0b" + s + "\x1c\r" }

func TestReaderFindsMessages(t *testing.T) {
	r := NewReader(strings.NewReader("\n\n"+frame("a")+"\r\n"+frame("bb")+"\x0bc\x1c"+frame("d")), 10)
	for _, want := range []string{"a", "bb", "c", "d"} {
		if got, err := r.Next(); err != nil || string(got) != want {
			t.Fatalf("got %q %v, want %q", got, err, want)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestReaderRefuses(t *testing.T) {
	for in, want := range map[string]error{
		"\x0babc": ErrUnfinished, "\x0ba\x0bb\x1c\r": ErrRestarted, frame(strings.Repeat("x", 11)): ErrTooLarge,
		"\x0b" + strings.Repeat("x", 9000): ErrTooLarge, strings.Repeat("x", MaxGarbage+1): ErrGarbage, frame(""): ErrContent,
	} {
		if _, err := NewReader(strings.NewReader(in), 10).Next(); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	if err := Write(io.Discard, []byte("a\x1cb")); !errors.Is(err, ErrContent) {
		t.Error(err)
	}
}

// Of what is too large there is the beginning, and the next message follows when the rest has been passed over.
func TestReaderSkipsWhatIsTooLarge(t *testing.T) {
	for _, x := range []struct {
		max, size, head int
	}{{10, 11, 11}, {10, 3 * Head, Head}, {2 * Head, 3 * Head, Head}, {2 * Head, 2*Head + 1, Head}, {Head / 2, Head/2 + 1, Head/2 + 1}} {
		large := strings.Repeat("0123456789", 2*Head)[:x.size]
		r := NewReader(iotest.OneByteReader(strings.NewReader(frame(large)+frame("next"))), x.max)
		got, err := r.Next()
		if !errors.Is(err, ErrTooLarge) || len(got) == 0 || len(got) > x.head || !strings.HasPrefix(large, string(got)) {
			t.Errorf("%+v: got %d bytes, %v", x, len(got), err)
		}
		if err := r.Skip(); err != nil {
			t.Errorf("%+v: %v", x, err)
		}
		if got, err := r.Next(); err != nil || string(got) != "next" {
			t.Errorf("%+v: then %q, %v", x, got, err)
		}
	}
	for in, want := range map[string]error{"\x0b" + strings.Repeat("x", 9000): ErrUnfinished, "\x0b" + strings.Repeat("x", 9000) + frame("a"): ErrRestarted} {
		r := NewReader(strings.NewReader(in), 10)
		if got, err := r.Next(); !errors.Is(err, ErrTooLarge) || len(got) == 0 || len(got) > Head {
			t.Errorf("got %d bytes, %v", len(got), err)
		}
		if err := r.Skip(); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func message(id string) *hl7.Message {
	m, _ := hl7.Parse([]byte("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|" + id + "|P|2.5\rPID|1\r"))
	return m
}

func start(t *testing.T, h Handler, l Limits) (*Server, string, chan error) {
	t.Helper()
	s, err := NewServer(h, l)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), ln) }()
	t.Cleanup(func() { _ = s.Shutdown(context.Background()) })
	return s, ln.Addr().String(), done
}

func ack(_ context.Context, msg []byte) ([]byte, error) {
	m, err := hl7.Parse(msg)
	if err != nil {
		return nil, err
	}
	return hl7.BuildAck(m, hl7.Ack{Code: hl7.AA}).Encode(), nil
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestServerAnswersInOrder(t *testing.T) {
	_, addr, _ := start(t, ack, limits())
	c := NewClient(dial(t, addr), 1<<16)
	for _, id := range []string{"1", "2", "3"} {
		a, err := c.Send(context.Background(), message(id))
		if err != nil || a.Get("MSA-2").Plain() != id {
			t.Fatalf("got %v", err)
		}
	}
}

func TestAFailedHandlerIsNotAnswered(t *testing.T) {
	_, addr, _ := start(t, func(context.Context, []byte) ([]byte, error) { return nil, errors.New("disk") }, limits())
	if _, err := NewClient(dial(t, addr), 1<<16).Send(context.Background(), message("1")); err == nil {
		t.Error("answered")
	}
}

func TestAWrongAnswerBreaksTheConnection(t *testing.T) {
	_, addr, _ := start(t, func(context.Context, []byte) ([]byte, error) {
		return hl7.BuildAck(message("other"), hl7.Ack{Code: hl7.AA}).Encode(), nil
	}, limits())
	c := NewClient(dial(t, addr), 1<<16)
	if _, err := c.Send(context.Background(), message("1")); !errors.Is(err, ErrAnswer) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Send(context.Background(), message("1")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestMoreConnectionsThanAllowedAreClosed(t *testing.T) {
	l := limits()
	l.Connections = 1
	_, addr, _ := start(t, ack, l)
	if _, err := NewClient(dial(t, addr), 1<<16).Send(context.Background(), message("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := NewClient(dial(t, addr), 1<<16).Send(context.Background(), message("1")); err == nil {
		t.Error("second connection answered")
	}
}

func TestASenderWithoutEndBlockIsCutOff(t *testing.T) {
	l := limits()
	l.Read = 20 * time.Millisecond
	_, addr, _ := start(t, ack, l)
	c := dial(t, addr)
	_, _ = c.Write([]byte("\x0bMSH|^~"))
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
}

func TestShutdownAnswersWhatIsInWork(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s, addr, done := start(t, func(ctx context.Context, msg []byte) ([]byte, error) {
		close(entered)
		<-release
		return ack(ctx, msg)
	}, limits())
	got := make(chan error, 1)
	c := NewClient(dial(t, addr), 1<<16)
	go func() { _, err := c.Send(context.Background(), message("1")); got <- err }()
	<-entered
	shut := make(chan error, 1)
	go func() { shut <- s.Shutdown(context.Background()) }()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	close(release)
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
}

func TestDecideTellsRepeatFromConflict(t *testing.T) {
	m := message("1")
	id := Identify(m, m.Encode())
	if Decide(id, [32]byte{}, false) != New || Decide(id, id.Hash, true) != Repeat || Decide(id, [32]byte{1}, true) != Conflict {
		t.Error("wrong decision")
	}
	if id.Feed != (Feed{"A", "B"}) || id.ControlID != "1" {
		t.Errorf("got %+v", id)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(frame("a") + "\n" + frame("b")))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data), 100)
		for {
			msg, err := r.Next()
			if err != nil {
				return
			}
			var b bytes.Buffer
			if err := Write(&b, msg); err != nil {
				t.Fatal(err)
			}
			again, err := NewReader(&b, 100).Next()
			if err != nil || !bytes.Equal(again, msg) {
				t.Fatal("other bytes")
			}
		}
	})
}
