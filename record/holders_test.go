package record

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/vault"
)

// stalling are links to holders of which some take a question and never answer, or begin to answer and never end.
type stalling struct {
	Links
	of    map[tx.Account]bool
	drips bool

	mu    sync.Mutex // guards of and asked
	asked map[tx.Account]int
}

// Download implements Links.
func (l *stalling) Download(ctx context.Context, to tx.Account, path, arg string) (io.ReadCloser, int64, error) {
	l.mu.Lock()
	l.asked[to]++
	stalls := path == exchange.PathBlob && l.of[to]
	l.mu.Unlock()
	switch {
	case !stalls:
		return l.Links.Download(ctx, to, path, arg)
	case l.drips:
		return drip{ctx}, 100, nil
	}
	<-ctx.Done()
	return nil, 0, ctx.Err()
}

type drip struct{ ctx context.Context }

// Read gives one byte in a while.
func (d drip) Read(b []byte) (int, error) {
	select {
	case <-time.After(100 * time.Millisecond):
		return copy(b, "x"), nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// Close implements io.Closer.
func (drip) Close() error { return nil }

// A holder that does not answer holds up one record for a moment; the next are asked for elsewhere first. When nobody
// answers, the reader's patience decides.
func TestAStallingHolderIsNotWaitedFor(t *testing.T) {
	for name, drips := range map[string]bool{"silent": false, "dripping": true} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			empty, err := vault.Open(t.TempDir(), vault.Options{Backend: vault.NewMemory(1 << 20)})
			if err != nil {
				t.Fatal(err)
			}
			defer empty.Close()
			links := &stalling{Links: s.orgs["clinic"], drips: drips, of: map[tx.Account]bool{account("hospital"): true}, asked: map[tx.Account]int{}}
			ways := memberLinks{&Service{Config: Config{Self: account("nobody"), Ledger: s.app, Links: links, Vault: empty}}}
			session := s.session(s.p, ways)
			found, err := session.Locate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			found = clinical(found)
			ctx, cancel := context.WithTimeout(t.Context(), 20*hedgeTime)
			defer cancel()
			holders := []tx.Account{account("hospital"), account("clinic"), account("insurer"), account("lab")}
			for range 3 {
				for _, l := range found {
					if b, err := ways.Ciphertext(ctx, holders, l.Entry.Ciphertext); err != nil || vault.AddressOf(b) != vault.Address(l.Entry.Ciphertext) {
						t.Fatalf("got %d bytes, %v", len(b), err)
					}
				}
			}
			links.mu.Lock()
			if n := links.asked[account("hospital")]; n != 1 {
				t.Errorf("who stalls was asked %d times, want once", n)
			}
			links.mu.Unlock()
			if res, err := session.Read(ctx, found); err != nil || !slices.Equal(opened(res), bodies(s.rs)) {
				t.Errorf("got %v", err)
			}
			links.mu.Lock()
			for _, h := range holders {
				links.of[h] = true
			}
			links.mu.Unlock()
			short, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer end()
			if _, err := ways.Ciphertext(short, holders, found[0].Entry.Ciphertext); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the end of the reader's patience", err)
			}
		})
	}
}
