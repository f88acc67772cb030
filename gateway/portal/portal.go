package portal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/smart"
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/record"
)

// A Ledger is what the portal reads of this node's replica.
type Ledger interface {
	Head() ledger.Head
	// Ask answers a query of a module, canonical CBOR both ways.
	Ask(path string, arg []byte) ([]byte, error)
	// Standing returns an account that may act.
	Standing(account tx.Account) (identity.Principal, bool)
	// Entry returns an entry of the ledger's log.
	Entry(index uint64) ([]byte, bool)
}

// A Chain is what the portal tells of blocks.
type Chain interface {
	// Recent lists at most n blocks up to a height, the newest first; 0 is the newest there is.
	Recent(ctx context.Context, upTo int64, n int) ([]Block, error)
	// Light is the signed header of a height with its validators, as in a receipt.
	Light(ctx context.Context, height int64) ([]byte, error)
	// Txs lists the transactions of a block: kind, size, code and signer.
	Txs(ctx context.Context, height int64) ([]Tx, error)
}

// A Prover makes receipts.
type Prover interface {
	Audit(ctx context.Context, patient tx.Account) (*receipt.Receipt, error)
	Entry(ctx context.Context, index uint64) (*receipt.Receipt, error)
	Row(ctx context.Context, key []byte) (*receipt.Receipt, error)
	// Claims proves many rows and entries of one state.
	Claims(ctx context.Context, least int64, choose func(*state.View) ([][]byte, []uint64, error)) (*client.Claims, error)
}

// A Relay reaches custodians. What they answer is sealed to the wallet.
type Relay interface {
	record.Custodians
	Openings(ctx context.Context, to tx.Account, q *exchange.OpeningsRequest) (*exchange.Sealed, error)
}

// Block is one line of the list of blocks.
type Block struct {
	Height   int64      `json:"height"`
	Time     time.Time  `json:"time"`
	Hash     string     `json:"hash"`
	Txs      int        `json:"txs"`
	Proposer tx.Account `json:"proposer"` // zero if its key is no member's any more
}

// Config is what a Portal is made of; every field is required but where it says otherwise.
type Config struct {
	Name    func() string // of the organisation, as people know it; asked for at each request
	Self    tx.Account    // its member account, steward of who signs up here
	Chain   string
	Origin  string // scheme, host and port at which browsers reach it
	SignUp  bool   // strangers may sign up; else only claims
	Files   fs.FS  // the built app, with index.html
	Genesis []byte // the network's genesis file

	Ledger    Ledger
	Blocks    Chain
	Prover    Prover
	Transport client.Transport
	// Enrol registers a pseudonym with its first key, this organisation being the steward.
	Enrol func(ctx context.Context, m *identity.Enrol) (client.Committed, error)
	// TakeIn makes this organisation ready to steward a patient who enrolled herself with it; nil: nothing is to be done.
	TakeIn func(ctx context.Context, patient tx.Account) error
	// ClaimKey is of the claim code that this organisation made, as steward, for a pseudonym; nil: it made none.
	ClaimKey func(patient tx.Account) (tx.PublicKey, bool)
	// ClaimCode is the claim code of a patient whom this organisation stewards, for staff to hand over;
	// nil: there are none.
	ClaimCode func(reference string) (record.ClaimCode, error)
	// Finish carries out a recovery, and Sign signs as one of the organisation's staff; nil: neither is done here.
	Finish Finisher
	Sign   Signing
	// Mandate gives the masks of an executor; nil: none is named here.
	Mandate Mandate

	Relay   Relay
	Reading record.Chain
	Changed func() <-chan struct{} // is closed at the next block
	Quorum  *client.Quorum         // nil: the ledger always goes on
	Own     Own                    // nil: while the ledger stands still, patients read nothing

	Staff Staff // nil: staff cannot sign in
	// Passkeys are those of staff, and Note puts into the organisation's journal what was done with
	// them; nil: there are none, and no journal.
	Passkeys *smart.Passkeys
	Note     func(ctx context.Context, e balp.Event) error
	Desk     Desk // nil: no charts beside the FHIR server's
	// Intake takes documents and tables in, by the access token of who sends them; nil: there is none.
	Intake http.Handler
	// Admin answers routes of the operator's API, with its token set here; nil: there are none.
	Admin http.Handler

	Lifetimes
	Now func() time.Time // time.Now if nil
	Log *slog.Logger
}

// Lifetimes say when sessions end; zero takes the default.
type Lifetimes struct {
	Idle     time.Duration // 15 minutes without a request that a person caused
	Absolute time.Duration // 8 hours after the sign-in
	StepUp   time.Duration // 2 minutes from a passkey's answer to the declaration that it confirms
}

// A Portal serves the app and its API. It is safe for concurrent use.
type Portal struct {
	Config
	rpID     string
	rpHash   [32]byte
	host     string
	secure   bool
	http     *http.Server
	mux      *http.ServeMux
	assets   *assets
	sessions sessions
	proofs   challenges
	flows    flows
	asked    staffAsked
	limits   limiter
	budgets  budgets
	handlers sync.WaitGroup
	life     context.Context //nolint:containedctx // of requests: ends at Shutdown
	end      context.CancelFunc
}

// New makes a portal; Serve starts it. Errors: an origin that is none, files without the app's page.
func New(c Config) (*Portal, error) {
	u, err := url.Parse(c.Origin)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != c.Origin || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("portal: the origin is scheme, host and port, without a path")
	}
	if u.Scheme == "http" && u.Hostname() != "localhost" {
		return nil, errors.New("portal: the origin is https, except http://localhost: browsers have no passkeys elsewhere")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Idle <= 0 {
		c.Idle = 15 * time.Minute
	}
	if c.Absolute <= 0 {
		c.Absolute = 8 * time.Hour
	}
	if c.StepUp <= 0 {
		c.StepUp = chart.StepUp
	}
	p := &Portal{Config: c, rpID: u.Hostname(), rpHash: sha256.Sum256([]byte(u.Hostname())), host: u.Host, secure: u.Scheme == "https"}
	if p.assets, err = loadAssets(c.Files); err != nil {
		return nil, fmt.Errorf("portal: the app: %w", err)
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.routes()
	p.http = &http.Server{
		Handler: p, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		BaseContext: func(net.Listener) context.Context { return p.life },
		ErrorLog:    slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	return p, nil
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handlers.Add(1)
	defer p.handlers.Done()
	if p.life.Err() != nil {
		p.fail(w, r, errAway)
		return
	}
	p.headers(w.Header())
	p.mux.ServeHTTP(w, r)
}

// Serve answers on ln until Shutdown.
func (p *Portal) Serve(ln net.Listener) error {
	p.handlers.Go(p.sweeping)
	if err := p.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown ends waiting requests and streams, and returns when no request runs any more.
func (p *Portal) Shutdown(ctx context.Context) error {
	p.end()
	err := errors.Join(p.http.Shutdown(ctx), p.http.Close())
	p.handlers.Wait()
	return err
}
