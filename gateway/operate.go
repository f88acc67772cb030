package gateway

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// healthz: the process lives.
func (g *Gateway) healthz(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, map[string]string{"status": "ok"})
}

// readyz: the node takes part in consensus and its head is fresh.
func (g *Gateway) readyz(w http.ResponseWriter, _ *http.Request) error {
	if err := g.Ready(); err != nil {
		return &Problem{"not-ready", err.Error(), http.StatusServiceUnavailable}
	}
	if since, lost := g.standing(); lost {
		return &Problem{"not-ready", "gateway: " + g.lost(since), http.StatusServiceUnavailable}
	}
	return answer(w, map[string]string{"status": "ready"})
}

func (g *Gateway) metrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(g.Registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

// Status is GET /v1/status.
type Status struct {
	Name    string     `json:"name"`
	Account tx.Account `json:"account"`
	Chain   string     `json:"chain"`
	Height  int64      `json:"height"`
	Time    uint64     `json:"time"`
	AppHash tx.Hash    `json:"appHash"`
	Ready   bool       `json:"ready"`
	Why     string     `json:"why,omitempty"`
	Stored  int        `json:"stored"` // records that no batch holds yet, and resources' versions that are none yet
	Outbox  int        `json:"outbox"` // batches not yet active
	// NoQuorum is since when the ledger stands still, in unix seconds: the time of its last block; 0 while it goes on.
	NoQuorum uint64 `json:"noQuorum,omitempty"`
}

func (g *Gateway) status(w http.ResponseWriter, r *http.Request) error {
	h := g.App.Head()
	waiting := 0
	if g.Waiting != nil { // before the records: what comes to them between is in both counts, not in neither
		var err error
		if waiting, err = g.Waiting(r.Context()); err != nil {
			return err
		}
	}
	pending, err := g.Record.Pending()
	if err != nil {
		return err
	}
	s := Status{Name: g.Name, Account: g.Self, Chain: h.Chain, Height: h.Height, Time: h.Time, AppHash: h.AppHash, Ready: true, Stored: waiting + pending.Stored, Outbox: pending.Batches}
	if err := g.Ready(); err != nil {
		s.Ready, s.Why = false, err.Error()
	}
	if since, lost := g.standing(); lost {
		s.Ready, s.NoQuorum = false, uint64(since.Unix())
		if s.Why == "" {
			s.Why = "gateway: " + g.lost(since)
		}
	}
	return answer(w, s)
}

func (g *Gateway) members(w http.ResponseWriter, _ *http.Request) error {
	v := g.App.View()
	defer v.Close()
	return answer(w, governance.Members(v))
}

func (g *Gateway) custody(w http.ResponseWriter, _ *http.Request) error {
	s, err := g.Custody.Status()
	if err != nil {
		return err
	}
	return answer(w, s)
}

func (g *Gateway) vaultStats(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, g.Vault.Stats())
}

func (g *Gateway) scrub(w http.ResponseWriter, r *http.Request) error {
	rep, err := g.Vault.Scrub(r.Context(), nil)
	if err != nil {
		return err
	}
	return answer(w, rep)
}

func (g *Gateway) repair(w http.ResponseWriter, r *http.Request) error {
	rep, err := g.Repair(r.Context())
	if err != nil {
		return err
	}
	return answer(w, rep)
}

// Practitioner is one line of GET /v1/staff.
type Practitioner struct {
	Name       string     `json:"name"` // of the key file
	Account    tx.Account `json:"account"`
	Registered bool       `json:"registered"`
	Active     bool       `json:"active"`
	Roles      []string   `json:"roles"`
	Privileges uint32     `json:"privileges"`
}

func (g *Gateway) staff(w http.ResponseWriter, _ *http.Request) error {
	names, err := g.Staff.Names()
	if err != nil {
		return err
	}
	v := g.App.View()
	defer v.Close()
	out := []Practitioner{}
	for _, n := range names {
		s, err := g.Staff.Signer(n)
		if err != nil {
			return err
		}
		p, ok := identity.Lookup(v, s.Account())
		out = append(out, Practitioner{Name: n, Account: s.Account(), Registered: ok, Active: ok && p.Active, Roles: p.Roles, Privileges: p.Privileges})
	}
	return answer(w, out)
}

// Registration is the body of POST /v1/staff/{name}.
type Registration struct {
	Device     bool     `json:"device"`
	Roles      []string `json:"roles"`
	Privileges uint32   `json:"privileges"`
}

// register draws a key for a practitioner or device and registers it on the ledger.
func (g *Gateway) register(w http.ResponseWriter, r *http.Request) error {
	var in Registration
	if err := body(r, &in); err != nil {
		return err
	}
	name := r.PathValue("name")
	s, err := g.Staff.Signer(name) // drawn before a crash, perhaps not registered yet
	if err != nil {
		s, err = g.Staff.Add(name)
	}
	if err != nil {
		return err
	}
	msg := &identity.Register{Account: s.Account(), Class: practitioner(in.Device), Keys: []tx.PublicKey{s.Public()}, Roles: in.Roles, Privileges: in.Privileges}
	if _, err := g.Member.Submit(r.Context(), identity.KindRegister, msg); err != nil {
		return err
	}
	return answer(w, Practitioner{Name: r.PathValue("name"), Account: s.Account(), Registered: true, Active: true, Roles: in.Roles, Privileges: in.Privileges})
}
