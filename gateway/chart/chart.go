package chart

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/fhir"
	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/ledger/module/consent"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

// A Caller is who asks, and what for: what the authorisation server says of a request's token.
type Caller struct {
	// Name is that of the practitioner's or device's key, in whose name sessions are opened; ""
	// sees the organisation's own store only.
	Name string
	// Client is the app, for what is given to the app that asked for it.
	Client string
	// Purpose of use; 0 if nobody named one: then no session is opened.
	Purpose consent.Purpose
	// Verified is when she last signed in, for what needs that to be fresh; now, for the
	// organisation's own systems, which answer for it.
	Verified time.Time
	// Passkey says that she has one registered here: then an emergency is declared only with Declared.
	Passkey bool
	// Declared is what of an emergency she confirmed with a passkey for this request's token: Confirmed.
	Declared string
	// Patient restricts her to the compartment of one, "Patient/<id>"; "" does not.
	Patient string
	May     func(i rest.Interaction, resourceType string) bool
	Within  map[string][][]search.Clause
}

// An Indexer says what a resource can be found by, and whose it is.
type Indexer interface {
	Entries(r fhir.Resource) ([]search.Entry, error)
	Owner(r fhir.Resource) string
}

// Config is what the room needs; every field is required but where it says otherwise.
type Config struct {
	Self    tx.Account
	Name    string // of the organisation, for people
	Store   *store.Store
	Record  *record.Service
	Index   Indexer
	View    func() *state.View
	Changed func() <-chan struct{} // closed at the next block
	Client  *client.Client
	Signer  func(name string) (tx.Signer, error)
	Enrol   record.EnrolFunc
	// Prove makes the receipt of an entry of the ledger's log.
	Prove func(ctx context.Context, index uint64) ([]byte, error)
	// Caller says who sent a request. Errors: those of a rest.Guard.
	Caller func(*http.Request) (Caller, error)
	// Lasts is for how long a session is asked for; 15 minutes if zero.
	Lasts time.Duration
	// StepUp is how long ago somebody may have shown who she is when she declares an emergency; 2 minutes
	// if zero.
	StepUp time.Duration
	// Quorum says whether the ledger goes on; nil: it always does.
	Quorum *client.Quorum
	// WaitActive lets answers to writes wait until their versions are active, where the sender
	// does not say.
	WaitActive bool
	// Notices go with what bears their labels of other members' records (42 CFR 2.32).
	Notices []fhir.Notice
	Log     *slog.Logger
}

// A Service keeps the charts of one organisation's callers, and carries what is written here to
// the ledger. It is a rest.Guard.
type Service struct {
	Config
	pump   *pump
	charts charts
}

// Open makes the service. What sessions of a former run had opened is removed first.
func Open(ctx context.Context, c Config) (*Service, error) {
	if c.Store == nil || c.Record == nil || c.Index == nil || c.View == nil || c.Changed == nil || c.Client == nil || c.Signer == nil || c.Enrol == nil || c.Caller == nil || c.Prove == nil || c.Log == nil {
		return nil, errors.New("chart: configuration is incomplete")
	}
	if c.Lasts == 0 {
		c.Lasts = 15 * time.Minute
	}
	if err := c.Store.EndScopes(ctx); err != nil {
		return nil, err
	}
	s := &Service{Config: c}
	s.charts.open = map[chartKey]*chart{}
	var err error
	s.pump, err = newPump(ctx, s)
	return s, err
}

// while is a context that also ends when the ledger stands still.
func (s *Service) while(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Quorum == nil {
		return context.WithCancel(ctx)
	}
	return s.Quorum.While(ctx)
}

// Run carries versions to the ledger and ends charts whose sessions have ended, until ctx does.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.pump.run(ctx) })
	g.Go(func() error { return s.watch(ctx) })
	return g.Wait()
}
