// Package gateway is one organisation's own API on its loopback: what its staff's
// command line and its patients' wallets talk to. Later the FHIR server stands here.
//
//	routes.go    every route on one page
//	errors.go    the only place where an error becomes an HTTP answer
//	ledger.go    transactions, queries, receipts
//	records.go   import, list, status, plaintext of the own store
//	sessions.go  reading through the ledger with a practitioner's key
//	relay.go     the custodians' answers for a wallet, which alone can open them
//	told.go      what is recorded before it is answered
//	accounting.go what the privacy officer keeps and records
//	operate.go   custody, vault, health, metrics
//	journal.go   this gateway's own journal, compared with the ledger
//	quorum.go    what is said while the ledger stands still
//
// Contract: everything but health and metrics needs the bearer token of the node's
// home; bodies are bounded; an error carries a stable code and a sentence, and
// nothing of a record. The gateway sees plaintext of its own organisation's records
// and of what a session of its own staff opened, never what it relays for a wallet.
package gateway

import (
	"context"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"salus/client"
	"salus/custody"
	"salus/gateway/balp"
	"salus/gateway/oversight"
	"salus/ledger"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

// Config is what the gateway serves; every field is required but where it says otherwise.
type Config struct {
	Self     tx.Account
	Name     string
	Token    string
	App      *ledger.App
	Calls    []ledger.Call // of every module
	Client   *client.Client
	Member   *client.Submitter // signs as the organisation
	Prover   *client.Prover
	Record   *record.Service
	Custody  *custody.Custodian
	Vault    *vault.Store
	Repair   func(context.Context) (vault.Report, error)
	Staff    Staff
	RawTx    func(height int64, index uint32) ([]byte, error) // from the block store
	Ready    func() error                                     // nil when the node takes part in consensus
	Quorum   *client.Quorum
	Journal  func(context.Context) (JournalReport, error)
	Registry *prometheus.Registry
	Log      *slog.Logger
	Apps     Apps
	Import   Importer
	Feeds    Feeds // nil: there are none
	// Accounting is what stands in front of the FHIR server.
	Accounting *oversight.Service
	// Waiting counts what the FHIR server took and the records have not got yet; nil: there is no FHIR server.
	Waiting func(context.Context) (int, error)
	// Room refuses with record.ErrNoSpace to take in that many bytes while the disk is almost full; nil:
	// there is always room.
	Room func(bytes int) error
	// Probe tries what the node could still get at of an erased case; may be nil.
	Probe func(context.Context, tx.Hash) (any, error)
	// Tell keeps the event of a request about a patient, zero if it names none; nil means that it is on disk. May be nil.
	Tell func(context.Context, tx.Account, balp.Event) error
	// Parts serve what is under their paths ("/fhir/") and decide themselves who may; may be nil.
	Parts map[string]http.Handler
}

// Staff finds the keys of this organisation's practitioners and devices.
type Staff interface {
	// Signer returns the signer of a practitioner or device by its name in the key directory.
	Signer(name string) (tx.Signer, error)
	// Add draws a key for a new one and keeps it.
	Add(name string) (tx.Signer, error)
	// Names lists them.
	Names() ([]string, error)
}

// Gateway serves the API.
type Gateway struct {
	Config
	http     *http.Server
	sessions sessions

	handlers sync.WaitGroup  // requests under way
	life     context.Context //nolint:containedctx // of requests: ends when Shutdown has waited long enough
	end      context.CancelFunc
	waits    context.Context //nolint:containedctx // of requests that only wait for a block: ends at Shutdown
	endWaits context.CancelFunc
}

// New makes the gateway; Serve starts it.
func New(c Config) *Gateway {
	g := &Gateway{Config: c}
	g.sessions.open = map[tx.Hash]*record.Session{}
	g.life, g.end = context.WithCancel(context.Background())
	g.waits, g.endWaits = context.WithCancel(g.life)
	g.http = &http.Server{
		Handler: ordinary.handler(g.routes()), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return g.life },
		ErrorLog:    slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	return g
}

// Handler answers the API without a listener, for a part of the node that says the token.
func (g *Gateway) Handler() http.Handler { return g.http.Handler }

// Serve answers on ln until Shutdown.
func (g *Gateway) Serve(ln net.Listener) error {
	if err := g.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops accepting, sends waiting requests away and lets the others end until ctx does;
// then it cuts them off. When it returns, no request touches a store any more.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.endWaits()
	err := g.http.Shutdown(ctx)
	g.end()
	err = errors.Join(err, g.http.Close())
	g.handlers.Wait()
	return err
}

// part is a handler under the gateway's life.
func (g *Gateway) part(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.handlers.Add(1)
		defer g.handlers.Done()
		if g.life.Err() != nil { // accepted too late: the stores may be closed
			g.fail(w, r, errAway)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// waiting is the context of a request that only waits for a block.
func (g *Gateway) waiting(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(g.waits, cancel)
	return ctx, func() { stop(); cancel() }
}

// serve is a route's handler: the token first, then a bounded body, then the answer or a problem.
func (g *Gateway) serve(rt route) http.Handler {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !rt.access.open && !g.authorised(r) {
			g.fail(w, r, errToken)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, rt.access.bytes)
		if err := rt.handle(w, r); err != nil {
			g.fail(w, r, err)
		}
	})
	if rt.access.told {
		return g.part(g.told(answer))
	}
	return g.part(answer)
}

func (g *Gateway) authorised(r *http.Request) bool { return Bearer(r, g.Token) }

// Bearer reports whether a request bears a token (RFC 6750, section 2.1), and takes as long for a
// wrong one as for the right one.
func Bearer(r *http.Request, token string) bool {
	given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1
}
