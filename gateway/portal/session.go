package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"sync"
	"time"

	"salus/ledger/tx"
)

// A role says what a session's holder is here.
type role uint8

const (
	nobody   role = iota
	patient       // proved an account of class patient on the ledger
	staff         // signed in at the authorisation server
	admin         // staff whose ledger account has the admin privilege
	newcomer      // holds a key that is none of her account's yet
)

func (r role) String() string {
	return [...]string{"nobody", "patient", "staff", "admin", "newcomer"}[r]
}

// A session is one sign-in. Its fields do not change but for used, under the lock of sessions.
type session struct {
	account    tx.Account
	role       role
	name       string    // staff: the name of the key
	purpose    string    // staff: of use, an HL7 code; "" where none was stated
	bearer     *bearer   // staff: the tokens of the portal's app; nil for patients
	proved     time.Time // staff: when she last showed who she is
	credential string    // staff: of the passkey that the session began with; "" for another way in
	key        tx.KeyID  // newcomer: of the new device
	begun      time.Time
	used       time.Time
	ends       time.Time
	gone       chan struct{} // closed at its end
}

// maxSessions bounds what strangers could make the node keep.
const maxSessions = 20_000

// sessions are kept in memory by the hash of their cookie: who reads the memory of a stopped
// node, or its disk, finds none.
type sessions struct {
	mu   sync.Mutex
	open map[[32]byte]*session
}

func (p *Portal) begin(w http.ResponseWriter, s session) error {
	p.sweep()
	now := p.Now()
	s.begun, s.used, s.gone = now, now, make(chan struct{})
	if end := now.Add(p.Absolute); s.ends.IsZero() || end.Before(s.ends) {
		s.ends = end
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	value := base64.RawURLEncoding.EncodeToString(secret)
	p.sessions.mu.Lock()
	defer p.sessions.mu.Unlock()
	if p.sessions.open == nil {
		p.sessions.open = map[[32]byte]*session{}
	}
	if len(p.sessions.open) >= maxSessions {
		return errFull
	}
	p.sessions.open[sha256.Sum256([]byte(value))] = &s
	http.SetCookie(w, p.cookie(value, 0))
	return nil
}

// sweep ends what is over.
func (p *Portal) sweep() { p.endAll(func(s *session, now time.Time) bool { return p.over(s, now) }) }

// endAll ends the sessions that over says.
func (p *Portal) endAll(over func(s *session, now time.Time) bool) {
	var gone []*session
	now := p.Now()
	p.sessions.mu.Lock()
	for k, s := range p.sessions.open {
		if over(s, now) {
			delete(p.sessions.open, k)
			gone = append(gone, s)
		}
	}
	p.sessions.mu.Unlock()
	for _, s := range gone {
		p.ended(s)
	}
}

// ended tells who waits on a session that it is over, and gives its tokens back. The session is in
// no list any more, and the lock is not held.
func (p *Portal) ended(s *session) {
	close(s.gone)
	p.giveBack(s.bearer)
}

// sweepEvery is how often sessions that nobody uses are looked for.
const sweepEvery = time.Minute

// sweeping ends sessions that are over until the portal shuts down, and then all of them.
func (p *Portal) sweeping() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.sweep()
		case <-p.life.Done():
			p.endAll(func(*session, time.Time) bool { return true })
			return
		}
	}
}

func (p *Portal) over(s *session, now time.Time) bool {
	return !now.Before(s.ends) || now.Sub(s.used) >= p.Idle
}

// find returns the session of a request. A request that no person caused (touch false) does not
// keep it alive.
func (p *Portal) find(r *http.Request, touch bool) (*session, bool) {
	c, err := r.Cookie(p.cookieName())
	if err != nil {
		return nil, false
	}
	key, now := sha256.Sum256([]byte(c.Value)), p.Now()
	p.sessions.mu.Lock()
	s, ok := p.sessions.open[key]
	over := ok && p.over(s, now)
	if over {
		delete(p.sessions.open, key)
	} else if ok && touch {
		s.used = now
	}
	p.sessions.mu.Unlock()
	if over {
		p.ended(s)
	}
	return s, ok && !over
}

// finish ends the session of a request, if there is one, and takes the cookie back.
func (p *Portal) finish(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(p.cookieName()); err == nil {
		key := sha256.Sum256([]byte(c.Value))
		p.sessions.mu.Lock()
		s, ok := p.sessions.open[key]
		delete(p.sessions.open, key)
		p.sessions.mu.Unlock()
		if ok {
			p.ended(s)
		}
	}
	http.SetCookie(w, p.cookie("", -1))
}

// swap ends the browser's former session and begins this one; tokens that it then cannot keep are given back.
func (p *Portal) swap(w http.ResponseWriter, r *http.Request, s *session) error {
	p.finish(w, r)
	w.Header().Del("Set-Cookie")
	err := p.begin(w, *s)
	if err != nil && s.bearer != nil {
		p.giveBack(s.bearer)
	}
	return err
}

// cookieName has the __Host- prefix where the browser can hold to it (RFC 6265bis section 4.1.3.2).
// It names the organisation, because cookies do not tell ports of one host apart.
func (p *Portal) cookieName() string {
	if p.secure {
		return "__Host-salus-" + p.Self.String()
	}
	return "salus-" + p.Self.String()
}

func (p *Portal) cookie(value string, age int) *http.Cookie {
	//nolint:gosec // Secure wherever there is TLS; http is for this machine alone
	return &http.Cookie{Name: p.cookieName(), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteStrictMode}
}

// SessionInfo is the answer of GET /api/session.
type SessionInfo struct {
	Role    string     `json:"role"`
	Account tx.Account `json:"account"`
	Name    string     `json:"name,omitempty"`
	Purpose string     `json:"purpose,omitempty"` // of use, an HL7 code
	Idle    int        `json:"idle"`              // seconds until it ends unused
	Ends    time.Time  `json:"ends"`
}

func (p *Portal) info(s *session) SessionInfo {
	return SessionInfo{s.role.String(), s.account, s.name, s.purpose, int(p.Idle / time.Second), s.ends.UTC().Truncate(time.Second)}
}

func (p *Portal) sessionInfo(w http.ResponseWriter, _ *http.Request, s *session) error {
	return answer(w, p.info(s))
}

func (p *Portal) signOut(w http.ResponseWriter, r *http.Request, _ *session) error {
	p.finish(w, r)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
