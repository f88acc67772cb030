package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salus/config"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/gateway"
	"salus/gateway/chart"
	"salus/gateway/rest"
	"salus/gateway/smart"
	"salus/ledger/module/consent"
	"salus/ledger/state"
	"salus/store"
)

// openSMART opens the authorisation server for apps.
func (n *Node) openSMART(keys *keys, st *store.Store, x *index.Index) (*smart.Server, *smart.Codes, error) {
	c := n.cfg
	disk, err := smart.OpenDisk(c.Data("smart"), keys.store)
	if err != nil {
		return nil, nil, err
	}
	n.onClose(disk.Close)
	codes := &smart.Codes{Keeper: disk, Now: time.Now}
	conf := smart.Config{
		Issuer: c.OAuthBase(), FHIR: c.FHIRBase(), Name: c.Name, Keeper: disk, SignIn: codes, Charts: charts{st}, Params: x, Log: n.log,
	}
	for _, s := range c.SMART.Registration {
		scope, err := smart.ParseScope(s)
		if err != nil {
			return nil, nil, fmt.Errorf("node: smart.registration: %w", err)
		}
		conf.Registration = append(conf.Registration, scope)
	}
	if c.SMART.Provider != "" {
		if conf.Provider, err = provider(c, n.app.View); err != nil {
			return nil, nil, err
		}
	}
	server, err := smart.New(conf)
	return server, codes, err
}

// staffPasskeys are kept beside what apps were granted.
func staffPasskeys(s *smart.Server) *smart.Passkeys {
	return &smart.Passkeys{Keeper: s.Keeper, Now: s.Now}
}

// provider is the organisation's OpenID provider, whose people are this node's practitioners.
func provider(c *config.Config, view func() *state.View) (*smart.Provider, error) {
	secret, err := os.ReadFile(c.ProviderSecretFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("node: %s: %w", filepath.Base(c.ProviderSecretFile()), err)
	}
	return &smart.Provider{
		Issuer: c.SMART.Provider, ClientID: c.SMART.ProviderClient, ClientSecret: strings.TrimSpace(string(secret)), Claim: c.SMART.ProviderClaim,
		User: func(_ context.Context, name string) (*smart.User, error) {
			by, err := staff{c}.Signer(name)
			if err != nil {
				return nil, smart.ErrSignIn
			}
			v := view()
			defer v.Close()
			return gateway.StaffUser(name, by.Account(), v), nil
		},
	}, nil
}

// charts are the patients of the organisation's own store, whom its staff may choose.
type charts struct{ store *store.Store }

// Find implements smart.Charts: by the beginning of a name.
func (c charts) Find(ctx context.Context, u *smart.User, text string, n int) (list []smart.Chart, err error) {
	if id, ok := strings.CutPrefix(u.FHIRUser, "Patient/"); ok {
		if _, err := c.store.Read(ctx, store.Key{Type: "Patient", ID: id}); err != nil {
			return nil, nil //nolint:nilerr // her chart is not here: none to choose
		}
		return []smart.Chart{{ID: id, Name: u.Name}}, nil
	}
	q := &search.Query{Types: []string{"Patient"}, Count: n, Total: search.TotalNone}
	if text = search.Fold(text); text != "" {
		q.Where = []search.Clause{{Param: &search.Param{Code: "name", Kind: search.String}, Values: []search.Value{{Text: text}}}}
	}
	p, err := c.store.Search(ctx, store.Search{Query: q, Sight: store.Sight{Scopes: []store.Scope{store.Own}}, Count: n})
	if err != nil {
		return nil, err
	}
	for i := range p.Matches {
		name, detail := nameOf(p.Matches[i].Body)
		list = append(list, smart.Chart{ID: p.Matches[i].ID, Name: name, Detail: detail})
	}
	return list, nil
}

// May implements smart.Charts.
func (c charts) May(ctx context.Context, u *smart.User, patient string) (bool, error) {
	if id, ok := strings.CutPrefix(u.FHIRUser, "Patient/"); ok {
		return id == patient, nil
	}
	_, err := c.store.Read(ctx, store.Key{Type: "Patient", ID: patient})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
		return false, nil
	}
	return err == nil, err
}

// callers says who sends a request to the FHIR server.
type callers struct {
	token string
	staff staff
	smart *smart.Server
	keys  *smart.Passkeys // of staff
	types []string
	index *index.Index
}

const (
	headerAs      = "Salus-As"      // name of the practitioner's or device's key
	headerPurpose = "Salus-Purpose" // of use, an HL7 v3 PurposeOfUse code
)

// caller knows the operator's token, with which headers say for whom and what for, and the tokens
// of apps, which say it themselves.
func (c *callers) caller(r *http.Request) (chart.Caller, error) {
	if gateway.Bearer(r, c.token) {
		return c.operator(r)
	}
	t, err := c.smart.Authenticate(r)
	if err != nil {
		return chart.Caller{}, err
	}
	out := chart.Caller{Client: t.Client, May: func(i rest.Interaction, typ string) bool {
		// Calling an operation opens nothing: it asks for what it reads and writes.
		return i == rest.Operate || t.May(i, typ)
	}}
	if t.User != "" {
		out.Client = t.Client + clientUser + t.User // what one user's app made is for no other's
	}
	if out.Within, err = t.Within(c.index, c.types...); err != nil {
		return chart.Caller{}, err
	}
	if t.Kind == smart.ForPatient {
		out.Patient = "Patient/" + t.Patient
	}
	// In a patient's own name nothing of other organisations is opened here: her wallet does that,
	// and this node does not see it.
	if strings.HasPrefix(t.FHIRUser, "Practitioner/") {
		out.Name, out.Verified, out.Declared = t.User, time.Unix(t.SignedIn, 0), t.Declared
	}
	if t.Purpose != "" {
		if out.Purpose, err = consent.ParsePurpose(t.Purpose); err != nil {
			return chart.Caller{}, errPurpose
		}
	}
	if out.Name != "" && out.Purpose == consent.BTG {
		has, err := c.keys.Of(out.Name)
		if err != nil {
			return chart.Caller{}, err
		}
		out.Passkey = len(has) > 0
	}
	return out, nil
}

// clientUser stands between an app and who uses it.
const clientUser = " for "

var errEnded = errors.New("node: the app is not registered here, or is no backend service")

// lasting is what a client sees between its requests: the operator everything of this organisation,
// a backend service what it is registered for. Apps that people use see nothing while nobody does.
func (c *callers) lasting(_ context.Context, client string) (*rest.Leave, error) {
	l := &rest.Leave{Scopes: []store.Scope{store.Own}, Client: client}
	if client == operatorClient {
		return l, nil
	}
	list, err := c.smart.Clients()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(x smart.Client) bool {
		return x.ID == client && slices.Contains(x.Grants, "client_credentials")
	})
	if i < 0 {
		return nil, errEnded
	}
	t := &smart.Token{Client: client, Kind: smart.ForSystem, Scopes: list[i].Scopes}
	l.May = t.May
	l.Within, err = t.Within(c.index, c.types...)
	return l, err
}

// alive reports whether an app is still registered here.
func (c *callers) alive(_ context.Context, l *rest.Leave) error {
	if l.Client == operatorClient {
		return nil
	}
	list, err := c.smart.Clients()
	if err != nil {
		return err
	}
	id, _, _ := strings.Cut(l.Client, clientUser)
	if !slices.ContainsFunc(list, func(x smart.Client) bool { return x.ID == id }) {
		return errEnded
	}
	return nil
}

// operatorClient is how the node's own token is named where apps have their ids.
const operatorClient = "operator"

func (c *callers) operator(r *http.Request) (out chart.Caller, err error) {
	out.Client, out.Name, out.Verified = operatorClient, r.Header.Get(headerAs), time.Now()
	if out.Name != "" {
		if _, err := c.staff.Signer(out.Name); err != nil {
			return chart.Caller{}, rest.ErrForbidden
		}
	}
	if p := r.Header.Get(headerPurpose); p != "" {
		if out.Purpose, err = consent.ParsePurpose(p); err != nil {
			return chart.Caller{}, errPurpose
		}
	}
	return out, nil
}

var errPurpose = rest.NewFault(http.StatusBadRequest, "code-invalid", "rest-purpose", "the purpose of use is not one that this network knows")

// cross lets the browsers of registered apps call the FHIR server (Fetch Standard, CORS protocol).
func cross(s *smart.Server, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if o := r.Header.Get("Origin"); o != "" && s.AllowOrigin(o) {
			h.Set("Access-Control-Allow-Origin", o)
			h.Set("Access-Control-Expose-Headers", "ETag, Location, Content-Location, Last-Modified, X-Request-Id, "+chart.HeaderStatus)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-None-Exist, If-Modified-Since, If-Unmodified-Since, X-Requested-With, "+
					strings.Join([]string{chart.HeaderWait, chart.HeaderPatient}, ", "))
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
