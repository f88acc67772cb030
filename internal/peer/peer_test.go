package peer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"salus/ledger/tx"
)

func private(name string) ed25519.PrivateKey {
	h := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(h[:])
}

func account(name string) tx.Account { h := sha256.Sum256([]byte(name)); return tx.Account(h[:16]) }

// directory is who is a member at the moment.
type directory struct {
	mu      sync.Mutex
	members map[string]string // name to address
}

func (d *directory) set(name, address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if address == "" {
		delete(d.members, name)
	} else {
		d.members[name] = address
	}
}

func (d *directory) Member(a tx.Account) (string, ed25519.PublicKey, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n, address := range d.members {
		if account(n) == a {
			return address, private(n).Public().(ed25519.PublicKey), true
		}
	}
	return "", nil, false
}

func (d *directory) ByKey(key ed25519.PublicKey) (tx.Account, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for n := range d.members {
		if key.Equal(private(n).Public()) {
			return account(n), true
		}
	}
	return tx.Account{}, false
}

func identity(t *testing.T, name string) *Identity {
	t.Helper()
	id, err := NewIdentity(private(name))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A world is hospital's server, whom clinic and lab may call.
type world struct {
	*Server
	t   *testing.T
	dir *directory
	log *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, limits Limits) *world {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, log: &lockedBuffer{}, dir: &directory{members: map[string]string{
		"hospital": ln.Addr().String(), "clinic": "127.0.0.1:1", "lab": "127.0.0.1:1",
	}}}
	w.Server = NewServer(identity(t, "hospital"), w.dir, slog.New(slog.NewTextHandler(w.log, nil)), limits)
	done := make(chan error, 1)
	go func() { done <- w.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(w.Shutdown(ctx), <-done); err != nil {
			t.Error(err)
		}
	})
	return w
}

// as is a client of that name.
func (w *world) as(name string) *Client {
	c := NewClient(identity(w.t, name), w.dir)
	w.t.Cleanup(c.Close)
	return c
}

type message struct {
	Text string `cbor:"1,keyasint"`
}

func (w *world) echo() {
	w.Handle("echo", func(_ context.Context, r *Request) (any, error) {
		var m message
		if err := r.Decode(&m); err != nil {
			return nil, err
		}
		return message{r.From.String() + " " + m.Text}, nil
	})
}

func call(t *testing.T, c *Client, to, path string) (string, error) {
	t.Helper()
	var got message
	err := c.Call(t.Context(), account(to), path, message{"hello"}, &got)
	return got.Text, err
}

func code(err error) uint32 { c, _ := tx.CodeOf(err); return c }

func TestMemberIsKnownByItsKey(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	w.echo()
	for _, name := range []string{"clinic", "lab"} {
		if got, err := call(t, w.as(name), "hospital", "echo"); err != nil || got != account(name).String()+" hello" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestStrangerGetsNoConnection(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	reached := false
	w.Handle("echo", func(context.Context, *Request) (any, error) { reached = true; return message{}, nil })
	if _, err := call(t, w.as("stranger"), "hospital", "echo"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want %v", err, ErrUnreachable)
	}
	// Nor does somebody without a certificate, with TLS 1.2, or with a chain of certificates.
	for rule, conf := range map[string]*tls.Config{
		"no certificate": {},
		"TLS 1.2":        {MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{identity(t, "clinic").cert}},
		"two certificates": {Certificates: []tls.Certificate{{
			Certificate: append(identity(t, "clinic").cert.Certificate, identity(t, "lab").cert.Certificate...), PrivateKey: private("clinic"),
		}}},
	} {
		conf.InsecureSkipVerify = true
		address, _, _ := w.dir.Member(account("hospital"))
		conn, err := tls.Dial("tcp", address, conf)
		if err == nil { // in TLS 1.3 the verdict comes with the first read
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s: got a connection", rule)
		}
	}
	if reached {
		t.Error("a handler ran")
	}
}

func TestWrongKeyForTheAddressIsUnreachable(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	reached := false
	w.Handle("echo", func(context.Context, *Request) (any, error) { reached = true; return message{}, nil })
	address, _, _ := w.dir.Member(account("hospital"))
	w.dir.set("lab", address) // the hospital answers where the lab should
	if _, err := call(t, w.as("clinic"), "lab", "echo"); !errors.Is(err, ErrUnreachable) || reached {
		t.Errorf("got %v, want %v; handler reached: %v", err, ErrUnreachable, reached)
	}
}

func TestExpelledMemberIsOutAtOnce(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	w.echo()
	c := w.as("clinic")
	if _, err := call(t, c, "hospital", "echo"); err != nil {
		t.Fatal(err)
	}
	w.dir.set("clinic", "")
	if _, err := call(t, c, "hospital", "echo"); code(err) != errNotMember.Code { // over the same connection
		t.Errorf("got %v, want %v", err, errNotMember)
	}
	w.dir.set("clinic", "127.0.0.1:1")
	w.dir.set("hospital", "")
	if _, err := call(t, c, "hospital", "echo"); code(err) != errNotMember.Code { // nor does one call the expelled
		t.Errorf("got %v, want %v", err, errNotMember)
	}
}

func TestNewAddressOfAMemberIsUsed(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	w.echo()
	address, _, _ := w.dir.Member(account("hospital"))
	c := w.as("clinic")
	w.dir.set("hospital", "127.0.0.1:1")
	if _, err := call(t, c, "hospital", "echo"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want %v", err, ErrUnreachable)
	}
	w.dir.set("hospital", address)
	if _, err := call(t, c, "hospital", "echo"); err != nil {
		t.Errorf("after it moved: %v", err)
	}
}

func TestOversizedMessagesAreRefused(t *testing.T) {
	limits := DefaultLimits
	limits.Body, limits.Stream = 1000, 1000
	w := newWorld(t, limits)
	w.echo()
	got := 0
	w.HandleUpload("up", func(_ context.Context, r *Request) error {
		b, err := io.ReadAll(r.Upload)
		got = len(b)
		return err
	})
	c := w.as("clinic")
	err := c.Call(t.Context(), account("hospital"), "echo", message{strings.Repeat("x", 2000)}, nil)
	if code(err) != errTooLarge.Code {
		t.Errorf("body: got %v, want %v", err, errTooLarge)
	}
	if err := c.Upload(t.Context(), account("hospital"), "up", "x", strings.NewReader(strings.Repeat("x", 2000)), 2000); code(err) != errTooLarge.Code || got != 0 {
		t.Errorf("upload: got %v after %d bytes, want %v", err, got, errTooLarge)
	}
	if err := c.Upload(t.Context(), account("hospital"), "up", "x", strings.NewReader("of a size it does not say"), -1); code(err) != errTooLarge.Code {
		t.Errorf("upload without a size: got %v, want %v", err, errTooLarge)
	}
	// A body that does not say its size is cut off while it is read.
	r, err := c.do(t.Context(), c.callTime, account("hospital"), http.MethodPost, "echo", strings.NewReader(strings.Repeat("x", 2000)), -1) //nolint:bodyclose // an error comes without a body
	if code(err) != errTooLarge.Code {
		t.Errorf("body without a size: got %v, %v; want %v", r, err, errTooLarge)
	}
}

func TestMessagesThatAreNotCanonicalAreRefused(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	w.echo()
	for _, body := range []string{"", "\x00", "{}", "\xa1\x01\x61x\x00", "\xbf\x01\x61x\xff", "\xa1\x02\x61x", "\xa1\x18\x01\x61x"} {
		_, err := w.as("clinic").do(t.Context(), time.Minute, account("hospital"), http.MethodPost, "echo", strings.NewReader(body), int64(len(body))) //nolint:bodyclose // an error comes without a body
		if code(err) != errEncoding.Code {
			t.Errorf("%x: got %v, want %v", body, err, errEncoding)
		}
	}
	w.Handle("text", func(context.Context, *Request) (any, error) { return "text", nil })
	if _, err := call(t, w.as("clinic"), "hospital", "text"); code(err) != errEncoding.Code {
		t.Errorf("an answer of another shape: got %v, want %v", err, errEncoding)
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	refusal := tx.Refuse(0x2101, "nothing to release")
	w.Handle("refuse", func(context.Context, *Request) (any, error) { return nil, refusal })
	w.Handle("fail", func(context.Context, *Request) (any, error) {
		return nil, errors.New("the disk with patient 7 is gone")
	})
	w.Handle("panic", func(context.Context, *Request) (any, error) { panic("patient 7") })
	w.Handle("unencodable", func(context.Context, *Request) (any, error) { return make(chan int), nil })
	c := w.as("clinic")
	if _, err := call(t, c, "hospital", "refuse"); code(err) != refusal.Code || err.Error() != refusal.Text {
		t.Errorf("got %v, want %v", err, refusal)
	}
	for _, path := range []string{"fail", "panic", "unencodable"} {
		if _, err := call(t, c, "hospital", path); code(err) != errInternal.Code || strings.Contains(err.Error(), "patient") {
			t.Errorf("%s: got %v, want %v", path, err, errInternal)
		}
	}
	if _, err := call(t, c, "hospital", "no/such/path"); err == nil || errors.Is(err, ErrUnreachable) {
		t.Errorf("no such path: got %v", err)
	}
	if log := w.log.String(); !strings.Contains(log, "peer_call_panicked") || strings.Contains(strings.Split(log, "peer_call_panicked")[1], "patient 7") {
		t.Errorf("the log of a panic quotes its value, or there is none:\n%s", log)
	}
	if _, err := call(t, c, "hospital", "refuse"); code(err) != refusal.Code {
		t.Errorf("after a panic: got %v, want %v", err, refusal)
	}
}

func TestStreamsArriveWhole(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	var kept []byte
	w.HandleUpload("pack", func(_ context.Context, r *Request) error {
		b, err := io.ReadAll(r.Upload)
		if err != nil || int64(len(b)) != r.Size || r.Arg != "name" || r.From != account("clinic") {
			return errInternal
		}
		kept = b
		return nil
	})
	refusal := tx.Refuse(0x2402, "no such pack")
	w.HandleDownload("pack", func(_ context.Context, r *Request) (io.ReadCloser, int64, error) {
		switch r.Arg {
		case "name":
			return io.NopCloser(bytes.NewReader(kept)), int64(len(kept)), nil
		case "short":
			return io.NopCloser(bytes.NewReader(kept)), int64(len(kept)) + 1, nil
		case "panic":
			return io.NopCloser(io.MultiReader(bytes.NewReader(kept), panicReader{})), int64(len(kept)) + 1, nil
		}
		return nil, 0, refusal
	})
	c := w.as("clinic")
	want := bytes.Repeat([]byte("salus "), 1<<18)
	if err := c.Upload(t.Context(), account("hospital"), "pack", "name", bytes.NewReader(want), int64(len(want))); err != nil {
		t.Fatal(err)
	}
	read := func(arg string) ([]byte, int64, error) {
		body, size, err := c.Download(t.Context(), account("hospital"), "pack", arg)
		if err != nil {
			return nil, 0, err
		}
		b, err := io.ReadAll(body)
		return b, size, errors.Join(err, body.Close())
	}
	if got, size, err := read("name"); err != nil || !bytes.Equal(got, want) || size != int64(len(want)) {
		t.Errorf("got %d bytes of %d, %v", len(got), size, err)
	}
	if _, _, err := read("other"); code(err) != refusal.Code {
		t.Errorf("got %v, want %v", err, refusal)
	}
	for _, broken := range []string{"short", "panic"} {
		if _, _, err := read(broken); err == nil {
			t.Errorf("%s: a stream that broke off looks whole", broken)
		}
	}
	if err := c.Upload(t.Context(), account("hospital"), "pack", "name", bytes.NewReader(want[:100]), int64(len(want))); err == nil {
		t.Error("an upload that broke off was taken")
	}
}

type panicReader struct{}

func (panicReader) Read([]byte) (int, error) { panic("gone") }

// One member that holds all its places leaves the others theirs.
func TestOneMemberCannotTakeAllPlaces(t *testing.T) {
	limits := DefaultLimits
	limits.Concurrent, limits.PerMember = 3, 2
	w := newWorld(t, limits)
	w.echo()
	entered, leave := make(chan struct{}), make(chan struct{})
	w.Handle("hold", func(ctx context.Context, _ *Request) (any, error) {
		entered <- struct{}{}
		select {
		case <-leave:
		case <-ctx.Done():
		}
		return message{}, nil
	})
	greedy := w.as("clinic")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _ = greedy.Call(t.Context(), account("hospital"), "hold", message{}, nil) })
	}
	<-entered
	<-entered // its share is used up; six more wait
	if _, err := call(t, w.as("lab"), "hospital", "echo"); err != nil {
		t.Errorf("another member: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := greedy.Call(ctx, account("hospital"), "hold", message{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that goes away: got %v", err)
	}
	close(leave)
	for range 6 {
		<-entered
	}
	wg.Wait()
}

// A member that begins an answer, or takes an upload, and goes on a byte at a time holds nobody up for ever.
func TestATricklingMemberIsGivenUp(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	trickle := func(rw http.ResponseWriter, r *http.Request) {
		for tick := time.NewTicker(5 * time.Millisecond); r.Context().Err() == nil; <-tick.C {
			_, _ = rw.Write([]byte{0})
			_ = http.NewResponseController(rw).Flush()
		}
	}
	w.mux.HandleFunc("POST /call", trickle)
	w.mux.HandleFunc("GET /down/x", trickle)
	w.mux.HandleFunc("PUT /up/x", func(_ http.ResponseWriter, r *http.Request) { // takes nothing of it
		<-r.Context().Done()
	})
	c := w.as("clinic")
	c.callTime, c.streamTime = 100*time.Millisecond, 100*time.Millisecond
	if _, err := call(t, c, "hospital", "call"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a call: got %v", err)
	}
	body, _, err := c.Download(t.Context(), account("hospital"), "down", "x")
	for err != nil && c.streamTime < time.Minute { // a busy machine takes longer to begin
		c.streamTime *= 2
		body, _, err = c.Download(t.Context(), account("hospital"), "down", "x")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, body); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a download: got %v", err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Upload(t.Context(), account("hospital"), "up", "x", bytes.NewReader(make([]byte, 8<<20)), 8<<20); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an upload: got %v", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	w := newWorld(t, DefaultLimits)
	stolen := false
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	thief := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen = true })}
	go func() { _ = thief.Serve(other) }()
	t.Cleanup(func() { thief.Close() })
	w.mux.Handle("POST /moved", http.RedirectHandler("http://"+other.Addr().String()+"/", http.StatusTemporaryRedirect))
	if _, err := call(t, w.as("clinic"), "hospital", "moved"); err == nil || stolen {
		t.Errorf("got %v; request sent on: %v", err, stolen)
	}
}
