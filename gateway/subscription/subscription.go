package subscription

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"salus/gateway/rest"
	"salus/store"
)

// Config is what a Service is made of; every field is required unless it says otherwise.
type Config struct {
	Store *store.Store
	Guard rest.Guard // of websockets; it must set Leave.Client
	// Leave returns what a client may see now, without a request of its own; an error says that its
	// authorisation has ended, which ends its subscriptions. One that is temporary must not be
	// returned: it is for Leave to wait.
	Leave func(ctx context.Context, client string) (*rest.Leave, error)
	Types []string // that are served
	Dir   string   // of the states; the service's alone
	Key   [32]byte // seals them
	Base  string   // of the FHIR server
	// TopicBase is what the canonicals of topics begin with.
	TopicBase string
	WebSocket string // the address at which ServeHTTP is reached, ws:// or wss://
	// Origins are hosts besides the server's whose pages may open a websocket. May be empty.
	Origins []string
	// Allow are the addresses that rest-hooks may have, with all below them. Empty allows none.
	Allow  []string
	Client *http.Client // its transport calls rest-hooks; http.DefaultTransport without a proxy if nil
	Now    func() time.Time
	Log    *slog.Logger

	// Told is told, before a notification or an answer of $events is sent, whose resources it names
	// or has: compartments, as the store names them. An error keeps it from being sent. May be nil.
	Told func(ctx context.Context, client, subscription string, owners []string) error

	Retry        time.Duration // after the first failure, doubled after each further: 1 s if zero
	MaxRetry     time.Duration // at most: 5 min if zero
	Failures     int           // in a row that end a subscription: 10 if zero
	Timeout      time.Duration // of one notification: 30 s if zero
	MinHeartbeat time.Duration // 10 s if zero
	MaxCount     int           // events in one notification: 100 if zero
	Keep         int           // events that $events still knows: 1,000 if zero
	Pending      int           // events that wait, before a subscription ends: 10,000 if zero
	PerClient    int           // subscriptions of one client that are told: 100 if zero
	Sockets      int           // websockets at the same time: 1,000 if zero
	TokenLasts   time.Duration // of a binding token: 10 min if zero
}

// A Service keeps subscriptions. It is safe for concurrent use.
type Service struct {
	Config
	// Server is the FHIR server whose Check and Written this is part of. It is set before Run.
	Server *rest.Server

	ctx  context.Context //nolint:containedctx // of all workers: it ends with Close
	stop func()
	wg   sync.WaitGroup
	wake chan struct{} // there is a subscription that was not there

	mu     sync.Mutex // guards what follows
	subs   map[string]*sub
	tokens map[string]token
	open   int // websockets
}

// A sub is a subscription that is known.
type sub struct {
	id   string
	spec *spec
	wake chan struct{} // something is to be told, or a socket is there
	stop func()

	mu    sync.Mutex // guards what follows
	state state
	conns map[*conn]bool
}

// Open makes a service.
func Open(c Config) (*Service, error) {
	fill(&c.Retry, time.Second)
	fill(&c.MaxRetry, 5*time.Minute)
	fill(&c.Failures, 10)
	fill(&c.Timeout, 30*time.Second)
	fill(&c.MinHeartbeat, 10*time.Second)
	fill(&c.MaxCount, 100)
	fill(&c.Keep, 1000)
	fill(&c.Pending, 10_000)
	fill(&c.PerClient, 100)
	fill(&c.Sockets, 1000)
	fill(&c.TokenLasts, 10*time.Minute)
	var transport http.RoundTripper
	if c.Client != nil {
		transport = c.Client.Transport
	}
	if transport == nil {
		t := &http.Transport{ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}
		transport = t
	}
	// What an address that is allowed sends elsewhere is not allowed.
	c.Client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("subscription: directory: %w", err)
	}
	s := &Service{Config: c, wake: make(chan struct{}, 1), subs: map[string]*sub{}, tokens: map[string]token{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

func fill[T comparable](v *T, standard T) {
	if *v == *new(T) {
		*v = standard
	}
}

// Close ends all workers and websockets, and waits for them.
func (s *Service) Close() error {
	s.mu.Lock() // nothing begins any more
	s.stop()
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// Run takes up the subscriptions of a former run and follows the store until ctx ends. It returns
// nil then, or what the store or the disk says.
func (s *Service) Run(ctx context.Context) error {
	if err := s.resume(ctx); err != nil {
		return err
	}
	for {
		changed := s.Store.Changed()
		n, err := s.follow(ctx)
		switch {
		case ctx.Err() != nil || s.ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case n > 0:
			continue
		}
		select {
		case <-changed:
		case <-s.wake:
		case <-ctx.Done():
			return nil
		case <-s.ctx.Done():
			return nil
		}
	}
}

// resume takes up the subscriptions that have a state.
func (s *Service) resume(ctx context.Context) error {
	states, err := s.load()
	if err != nil {
		return err
	}
	for _, st := range states {
		v, err := s.Store.Read(ctx, store.Key{Type: "Subscription", ID: st.ID})
		if rest.IsGone(err) {
			if err := s.drop(st.ID); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		x, bad := s.parse(v.Body)
		if bad != nil { // the configuration has changed
			st.Status, st.Why, x = failing, bad.Text, &spec{}
		}
		u := newSub(st, x)
		s.mu.Lock()
		if s.subs[st.ID] == nil { // not written again meanwhile
			s.subs[st.ID] = u
			s.start(u)
		}
		s.mu.Unlock()
	}
	return nil
}

func newSub(st state, x *spec) *sub {
	return &sub{id: st.ID, spec: x, wake: make(chan struct{}, 1), state: st, conns: map[*conn]bool{}, stop: func() {}}
}

// Written takes note of Subscriptions that were written: it belongs into rest.Config.Written.
func (s *Service) Written(ctx context.Context, versions []store.Version) {
	l := rest.LeaveOf(ctx)
	if l == nil {
		return // this service's own
	}
	for i := range versions {
		if v := &versions[i]; v.Type == "Subscription" && v.Scope == store.Own {
			if err := s.register(l, v); err != nil {
				s.Log.ErrorContext(ctx, "subscription_not_registered", "err", err)
			}
		}
	}
}

// register takes up a version of a Subscription. Its subscriber is who wrote it last.
func (s *Service) register(l *rest.Leave, v *store.Version) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.subs[v.ID]
	if old != nil {
		old.stop()
		delete(s.subs, v.ID)
	}
	if v.Method == store.Delete {
		return s.drop(v.ID)
	}
	x, bad := s.parse(v.Body)
	if bad != nil {
		return errors.New("subscription: it was not checked")
	}
	st := state{ID: v.ID, Client: l.Client, Seq: v.Seq, Status: requested}
	if old != nil {
		old.mu.Lock()
		was := old.state
		old.mu.Unlock()
		if was.Client == l.Client { // the numbers go on; what another was to be told is not told
			st.Count, st.Delivered, st.Events = was.Count, was.Delivered, was.Events
			if was.Status == active || was.Status == requested {
				st.Seq = was.Seq
			}
			if was.Why == whyPending {
				st.Delivered = st.Count
			}
		}
	}
	if x.status == off {
		st.Status = off
	}
	n := 0
	for _, u := range s.subs {
		if st := u.copied(); st.Client == l.Client && (st.Status == active || st.Status == requested) {
			n++
		}
	}
	if n >= s.PerClient {
		st.Status, st.Why = failing, "the client has as many subscriptions as it may have"
	}
	u := newSub(st, x)
	s.subs[v.ID] = u
	if err := s.put(u); err != nil {
		return err
	}
	s.start(u)
	poke(s.wake)
	return nil
}

func (u *sub) client() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state.Client
}

// start begins a subscription's worker. The caller holds s.mu.
func (s *Service) start(u *sub) {
	if s.ctx.Err() != nil {
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	u.stop = stop
	s.wg.Go(func() {
		defer stop()
		s.work(ctx, u)
	})
}

// poke makes sure that a wake is waiting.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
