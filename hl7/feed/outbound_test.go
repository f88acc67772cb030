package feed

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"salus/hl7"
	"salus/hl7/mllp"
)

// receiver answers as told: one code for each message, then AA; "" hangs up.
type receiver struct {
	codes []string
	got   []string
	at    []time.Time
}

func (r *receiver) dial(_ context.Context) (net.Conn, error) {
	a, b := net.Pipe()
	go func() {
		defer b.Close()
		in := mllp.NewReader(b, 1<<20)
		for {
			raw, err := in.Next()
			if err != nil {
				return
			}
			m, err := hl7.Parse(raw)
			if err != nil {
				return
			}
			code := "AA"
			if len(r.codes) > 0 {
				code, r.codes = r.codes[0], r.codes[1:]
			}
			r.got, r.at = append(r.got, m.ControlID()), append(r.at, time.Now())
			if code == "" || mllp.Write(b, hl7.BuildAck(m, hl7.Ack{Code: hl7.AckCode(code), Now: clock()}).Encode()) != nil {
				return
			}
		}
	}()
	return a, nil
}

func outbound(t testing.TB, dir string, r *receiver) *Outbound {
	t.Helper()
	o, err := OpenOutbound(Destination{Dir: dir, Key: testKey, Dial: r.dial, Timeout: time.Minute, Wait: time.Second, MaxWait: 8 * time.Second, Tries: 3, Now: clock, Log: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// drain runs until the queue is empty.
func drain(t *testing.T, o *Outbound) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	for o.Waiting() > 0 {
		timer := time.NewTimer(time.Second)
		<-timer.C
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOutboundKeepsOrderAndTriesAgain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{codes: []string{"", "AE", "AA", "AR", "AE", "AE", "AE"}}
		o := outbound(t, dir, r)
		for _, id := range []string{"1", "2", "3", "4"} {
			if _, err := o.Enqueue(t.Context(), adt("A01", id, "")); err != nil {
				t.Fatal(err)
			}
		}
		drain(t, o)
		if got := strings.Join(r.got, " "); got != "1 1 1 2 3 3 3 4" {
			t.Errorf("got %s", got)
		}
		if d := r.at[2].Sub(r.at[1]); d != 2*time.Second {
			t.Errorf("second wait: got %v, want it doubled", d)
		}
		l := o.Letters()
		if len(l) != 2 || l[0].Code != "AR" || l[1].Code != "AE" {
			t.Fatalf("got %+v", l)
		}
		if _, err := o.Replay(t.Context(), l[0].Number); err != nil {
			t.Fatal(err)
		}
		if err := o.Discard(l[1].Number); err != nil {
			t.Fatal(err)
		}
		if err := o.Discard(l[1].Number); !errors.Is(err, ErrUnknown) {
			t.Errorf("discarded twice: %v", err)
		}
		drain(t, o)
		if got := r.got[len(r.got)-1]; got != "2" || len(o.Letters()) != 0 {
			t.Errorf("replayed: got %s, letters %v", got, o.Letters())
		}
		_ = o.Close()
	})
}

func TestOutboundGoesOnAfterARestartAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	var ends []int64 // of the file when each message was acknowledged by Enqueue
	synctest.Test(t, func(t *testing.T) {
		o := outbound(t, dir, &receiver{})
		for _, id := range []string{"1", "2"} {
			_, _ = o.Enqueue(t.Context(), adt("A01", id, ""))
			ends = append(ends, o.j.size)
		}
		drain(t, o)
		_ = o.Close()
	})
	whole, _ := os.ReadFile(filepath.Join(dir, "outbound.journal"))
	for n := 0; n <= len(whole); n += 7 {
		dir := t.TempDir()
		_ = os.WriteFile(filepath.Join(dir, "outbound.journal"), whole[:n], 0o600)
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{}
			o := outbound(t, dir, r)
			want := 0
			for _, e := range ends {
				if int64(n) >= e {
					want++
				}
			}
			if o.Waiting() > want || len(o.order) != want {
				t.Fatalf("cut at %d: %d waiting of %d, want %d", n, o.Waiting(), len(o.order), want)
			}
			drain(t, o)
			for i := 1; i < len(r.got); i++ {
				if r.got[i-1] >= r.got[i] {
					t.Errorf("cut at %d: sent %v", n, r.got)
				}
			}
			_ = o.Close()
		})
	}
}

func TestOutboundRefusesWhatCannotBeAnswered(t *testing.T) {
	o := outbound(t, t.TempDir(), &receiver{})
	defer o.Close()
	for _, bad := range []string{"", "none", "MSH|^~\\&|A|B|C|D|2026||ADT^A01||P|2.5\r", "MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5\rPID|\x1c\r"} {
		if _, err := o.Enqueue(t.Context(), []byte(bad)); err == nil {
			t.Errorf("%q is queued", bad)
		}
	}
	if o.Waiting() != 0 {
		t.Error("something is queued")
	}
}

// certificate makes a key with a certificate, signed by an authority or by itself.
func certificate(t *testing.T, name string, ca *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: ca == nil, BasicConstraintsValid: true,
	}
	parent, signer := c, any(key)
	if ca != nil {
		parent, signer = ca.Leaf, ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func serve(t *testing.T, f *Inbound, l mllp.Limits, secure *tls.Config) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Serve(ctx, ln, l, secure) }()
	t.Cleanup(func() { cancel(); <-done })
	return ln.Addr().String()
}

func TestOnlyClientsWithACertificateAreServed(t *testing.T) {
	ca := certificate(t, "ca", nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	limits := mllp.Limits{Connections: 4, Message: 1 << 20, Idle: time.Minute, Read: time.Minute, Write: time.Minute}
	addr := serve(t, open(t, t.TempDir(), &world{}), limits, &tls.Config{Certificates: []tls.Certificate{certificate(t, "server", &ca)}, ClientCAs: pool})
	other := certificate(t, "other", nil)
	ask := func(certs ...tls.Certificate) (string, error) {
		raw, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = raw.SetDeadline(time.Now().Add(time.Minute))
		c := mllp.NewClient(tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: certs}), 1<<20)
		defer c.Close()
		m, _ := hl7.Parse(adt("A01", "1", ""))
		a, err := c.Send(t.Context(), m)
		if err != nil {
			return "", err
		}
		return a.Get("MSA-1").Plain(), nil
	}
	if got, err := ask(certificate(t, "client", &ca)); got != "AA" {
		t.Errorf("got %q %v", got, err)
	}
	if _, err := ask(); err == nil {
		t.Error("a client without a certificate is served")
	}
	if _, err := ask(other); err == nil {
		t.Error("a client of another authority is served")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := open(t, t.TempDir(), &world{}).Serve(t.Context(), ln, limits, &tls.Config{}); err == nil {
		t.Error("TLS without client authorities is served")
	}
}

func TestAMessageInWorkIsAnsweredWhenTheFeedEnds(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	f, err := Open(Config{Dir: t.TempDir(), Now: clock, Log: logger(t), Apply: func(ctx context.Context, _ Message) error {
		close(begun)
		<-goOn
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- f.Serve(ctx, ln, mllp.Limits{Connections: 4, Message: 1 << 20, Idle: time.Minute, Read: time.Minute, Write: time.Minute}, nil)
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		c := mllp.NewClient(conn, 1<<20)
		defer c.Close()
		m, _ := hl7.Parse(adt("A01", "1", ""))
		a, err := c.Send(context.WithoutCancel(ctx), m)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- a.Get("MSA-1").Plain()
	}()
	<-begun
	cancel()
	close(goOn)
	if s := <-got; s != "AA" {
		t.Errorf("got %s, want AA", s)
	}
	if err := <-done; !errors.Is(err, mllp.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// Connections without a certificate, or that say nothing, take no sender's place.
func TestStrangersKeepNoSenderOut(t *testing.T) {
	ca := certificate(t, "ca", nil)
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	limits := mllp.Limits{Connections: 2, Message: 1 << 20, Idle: time.Hour, Read: time.Minute, Write: time.Minute}
	addr := serve(t, open(t, t.TempDir(), &world{}), limits, &tls.Config{Certificates: []tls.Certificate{certificate(t, "server", &ca)}, ClientCAs: pool})
	for range 20 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.SetDeadline(time.Now().Add(time.Minute))
	c := mllp.NewClient(tls.Client(raw, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", Certificates: []tls.Certificate{certificate(t, "client", &ca)}}), 1<<20)
	defer c.Close()
	m, _ := hl7.Parse(adt("A01", "1", ""))
	if a, err := c.Send(t.Context(), m); err != nil || a.Get("MSA-1").Plain() != "AA" {
		t.Errorf("a sender among strangers: %v", err)
	}
}

// N-08: a frame without an end, garbage, and one that is too large store nothing.
func TestSlowAndGarbageClientsAreBounded(t *testing.T) {
	f := open(t, t.TempDir(), &world{})
	addr := serve(t, f, mllp.Limits{Connections: 4, Message: 4096, Idle: time.Minute, Read: 50 * time.Millisecond, Write: time.Minute}, nil)
	for _, in := range []string{"\x0bMSH|^~\\&|", strings.Repeat("x", 1<<16), "\x0b" + strings.Repeat("x", 5000), "\x0bMSH|\x0bMSH|"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = c.Write([]byte(in))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%q: got %d bytes, %v; want the connection closed", in[:5], n, err)
		}
		_ = c.Close()
	}
	for range f.Hashes(0) {
		t.Error("something was stored")
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, _ := hl7.Parse(adt("A01", "1", ""))
	if a, err := mllp.NewClient(c, 1<<20).Send(t.Context(), m); err != nil || a.Get("MSA-1").Plain() != "AA" {
		t.Errorf("an orderly client after them: %v", err)
	}
}

// N-08: who sends what is too large is told so, under the control id of the message, and goes on.
func TestWhatIsTooLargeIsAnswered(t *testing.T) {
	w := &world{}
	f := open(t, t.TempDir(), w)
	addr := serve(t, f, mllp.Limits{Connections: 4, Message: 4096, Idle: time.Minute, Read: time.Minute, Write: time.Minute}, nil)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := mllp.NewClient(conn, 1<<20)
	defer c.Close()
	m, err := hl7.Parse(adt("A01", "large", "NTE|1||"+strings.Repeat("x", 5<<20)+"\r"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Send(t.Context(), m)
	if err != nil || a.Get("MSA-1").Plain() != "AR" || a.Get("MSA-2").Plain() != "large" || a.Get("ERR-5").Plain() != hl7.CodeSize {
		t.Fatalf("got %v, %v; want a refusal of this message for its size", a, err)
	}
	for range f.Hashes(0) {
		t.Error("something was stored")
	}
	small, _ := hl7.Parse(adt("A01", "small", ""))
	if a, err := c.Send(t.Context(), small); err != nil || a.Get("MSA-1").Plain() != "AA" {
		t.Errorf("the next one: %v", err)
	}
}

func TestOutboundKnowsTheControlIDsOfAllItsMessages(t *testing.T) {
	dir := t.TempDir()
	o := outbound(t, dir, &receiver{})
	if _, err := o.Enqueue(t.Context(), adt("A01", "one", "")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also after a restart
		if !o.Has("one") || o.Has("two") || o.Has("") {
			t.Errorf("got %v %v %v, want the one that was queued alone", o.Has("one"), o.Has("two"), o.Has(""))
		}
		if err := o.Close(); err != nil {
			t.Fatal(err)
		}
		o = outbound(t, dir, &receiver{})
	}
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
}
