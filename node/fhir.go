package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/config"
	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/fhir/patch"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/gateway/bulk"
	"salus/gateway/chart"
	"salus/gateway/oversight"
	"salus/gateway/rest"
	"salus/gateway/subscription"
	"salus/gateway/summary"
	"salus/gateway/terminology"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
	"salus/store"
)

// A fhirPart is the FHIR server with what it stands on.
type fhirPart struct {
	log    *slog.Logger
	store  *store.Store
	chart  *chart.Service
	front  *oversight.Service
	files  *bulk.Service
	told   *subscription.Service
	apps   gateway.Apps
	terms  *terminology.Service
	index  *index.Index
	server *rest.Server
	within *transactor
	keeper *summary.Keeper // nil: no summaries for emergencies

	indexed bool // what is stored is, by all of index' parameters
	room    func(bytes int) error
}

// event puts what another part of the node did into the log; nil says that it is on disk.
func (p *fhirPart) event(ctx context.Context, e balp.Event) error {
	e.Organization = p.front.Organization
	_, err := p.front.Events.Recorder.Record(ctx, e)
	return err
}

// tell puts into the log what the operator asked the gateway about a patient; nil says that it is on disk.
func (p *fhirPart) tell(ctx context.Context, patient tx.Account, e balp.Event) error {
	e.Client.Display = operatorClient
	if !patient.IsZero() {
		e.Patient = p.front.Events.Names.Person(patient)
	}
	return p.event(context.WithoutCancel(ctx), e)
}

// handlers are the paths that the gateway's listener serves for it.
func (p *fhirPart) handlers() map[string]http.Handler {
	both := func(h http.Handler) http.Handler { // origins, JSON and XML
		return cross(p.apps.Server, rest.InXML(definition.R4().Model(), maxXML, h))
	}
	return map[string]http.Handler{
		"/fhir": both(p.front), "/fhir/": both(p.front), "/fhir/$jobs/": both(p.front.Around(p.files)), "/fhir/$websocket": p.told, "/fhir/metadata": both(p.terms.Metadata(p.front)), "/oauth2/": p.apps.Server, "/fhir/.well-known/smart-configuration": p.apps.Server,
	}
}

// clinicalFile is where SQLite keeps the clinical store.
func clinicalFile(c *config.Config) string { return filepath.Join(c.Data("fhir"), "store.db") }

// openClinicalStore opens the store that the configuration names.
func openClinicalStore(ctx context.Context, c *config.Config, key [32]byte) (*store.Store, error) {
	if c.FHIR.Store == "sqlite" {
		return openStoreFile(ctx, clinicalFile(c), key)
	}
	dsn, err := os.ReadFile(c.PostgresFile())
	if err != nil {
		return nil, fmt.Errorf("node: %s: %w", filepath.Base(c.PostgresFile()), err)
	}
	return store.OpenPostgres(ctx, strings.TrimSpace(string(dsn)), store.Options{})
}

func openStoreFile(ctx context.Context, file string, key [32]byte) (*store.Store, error) {
	return store.OpenSQLite(ctx, file, seal.Sum("clinical-store", key[:]), store.Options{})
}

// openFHIR opens the FHIR server. member signs as the organisation.
func (n *Node) openFHIR(ctx context.Context, keys *keys, member *client.Submitter, prover *client.Prover) error {
	if err := dropUnfinished(clinicalFile(n.cfg)); err != nil {
		return err
	}
	st, err := openClinicalStore(ctx, n.cfg, keys.store)
	if err != nil {
		return err
	}
	n.onClose(st.Close)
	known, x, err := openSearch(n.cfg)
	if err != nil {
		return err
	}
	indexed, err := n.indexed(ctx, st, x, known)
	if err != nil {
		return err
	}
	apps, codes, err := n.openSMART(keys, st, x)
	if err != nil {
		return err
	}
	types := slices.DeleteFunc(servedTypes(definition.R4()), func(t string) bool { return slices.Contains(oversight.Types(), t) })
	callers := &callers{token: keys.token, staff: staff{n.cfg}, smart: apps, keys: staffPasskeys(apps), types: types, index: x}
	c, err := chart.Open(ctx, chart.Config{
		Self: n.cfg.Member, Store: st, Record: n.record, Index: x, View: n.app.View, Changed: n.hub.Changed, Client: n.client,
		Signer: staff{n.cfg}.Signer, Caller: callers.caller, Lasts: n.cfg.FHIR.Session.Duration, WaitActive: n.cfg.FHIR.Wait == "active", StepUp: n.cfg.FHIR.StepUp.Duration, Quorum: n.quorum, Notices: n.cfg.Accompany(),
		Enrol: func(ctx context.Context, patient tx.Account, claim tx.Hash) error {
			_, err := member.Repeatable().Submit(ctx, identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim})
			return err
		},
		Prove: func(ctx context.Context, index uint64) ([]byte, error) {
			r, err := prover.Entry(ctx, index)
			if err != nil {
				return nil, err
			}
			return r.Encode()
		},
		Log: n.log,
	})
	if err != nil {
		return err
	}
	terms, err := n.openTerminology(st)
	if err != nil {
		return err
	}
	issuesOf := func(ctx context.Context, r fhir.Resource, profiles ...string) (issues []rest.Issue) {
		for _, i := range known.check.Validate(ctx, r, profiles...) {
			issues = append(issues, rest.Issue(i))
		}
		return issues
	}
	var front *oversight.Service // in front of what is made here
	files, err := bulk.Open(bulk.Config{
		Exported: func(ctx context.Context, client, request string, owners []string) error {
			return front.Left(ctx, balp.Export, client, request, owners)
		},
		Alive: callers.alive,
		Store: st, Guard: c, Dir: filepath.Join(n.cfg.Data("fhir"), "bulk"), Key: seal.Sum("bulk-store", keys.store[:]),
		URL: n.cfg.FHIRBase() + "/$jobs", Prefix: "/fhir/$jobs", Now: time.Now, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(files.Close)
	told, err := subscription.Open(subscription.Config{
		Told: func(ctx context.Context, client, subscription string, owners []string) error {
			return front.Left(ctx, balp.Disclose, client, "Subscription/"+subscription, owners)
		},
		Store: st, Guard: c, Leave: callers.lasting, Types: types, Dir: filepath.Join(n.cfg.Data("fhir"), "subscription"), Key: seal.Sum("subscription-store", keys.store[:]),
		Base: n.cfg.FHIRBase(), TopicBase: n.cfg.FHIRBase() + "/SubscriptionTopic", WebSocket: "ws" + strings.TrimPrefix(n.cfg.FHIRBase(), "http") + "/$websocket",
		Allow: n.cfg.FHIR.Hooks, Now: time.Now, Log: n.log,
	})
	if err != nil {
		return err
	}
	n.onClose(told.Close)
	server := rest.New(rest.Config{
		Store: st, Params: x, Types: types, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: c,
		Check: func(ctx context.Context, r fhir.Resource) []rest.Issue {
			return append(issuesOf(ctx, r), told.Check(ctx, r)...)
		},
		Patch: func(resource, parameters []byte) ([]byte, error) { return patch.Apply(resource, parameters, known.set) },
		Room:  n.space.fhir,
		Base:  n.cfg.FHIRBase(), Prefix: "/fhir", Now: time.Now, Log: n.log, MaxBody: maxResource, Topics: told.Topics(), WebSocket: told.WebSocket, Beside: oversight.Beside(), Formats: []rest.Format{rest.JSON, rest.XML},
		Guides: known.guides, Profiles: known.profiles, DeleteMany: int(n.cfg.FHIR.DeleteMany),
		Written: func(ctx context.Context, prefers http.Header, versions []store.Version) http.Header {
			told.Written(ctx, versions)
			return c.Written(ctx, prefers, versions)
		},
		Terminology: terms.Search,
		Operations:  slices.Concat(terms.Operations(), c.Operations(), files.Operations(), told.Operations(), summary.Operations(summary.Config{Author: "Salus node " + n.cfg.Name, Custodian: n.cfg.Name}), rest.Meta(types), []rest.Operation{rest.Everything(), rest.LastN(), rest.Validate(types, issuesOf)}),
		Statement:   rest.Statement{Name: "Salus", Description: "Salus node " + n.cfg.Name},
	})
	told.Server = server
	front, err = n.openOversight(keys, member, callers, server)
	if err != nil {
		return err
	}
	n.fhir = &fhirPart{keeper: n.openKeeper(st), log: n.log, store: st, chart: c, told: told, front: front, files: files, terms: terms, apps: gateway.Apps{Server: apps, Codes: codes}, index: x, server: server, within: newTransactor(server), indexed: indexed, room: n.space.fhir}
	apps.Notify = n.fhir.authorised
	return nil
}

// maxResource is what fits into a record also when it does not compress.
const maxResource = 15 << 20

// maxXML is what that can be in XML, which says each element's name twice.
const maxXML = 2 * maxResource

// servedTypes are all resource types but those that only travel.
func servedTypes(set *definition.Set) (types []string) {
	for _, name := range set.Types() {
		if t := set.Type(name); t.Kind == "resource" && !t.Abstract && !t.Profile && !slices.Contains([]string{"Parameters", "OperationOutcome"}, name) {
			types = append(types, name)
		}
	}
	return types
}

// run carries what is written to the ledger, and tells subscribers of it.
func (p *fhirPart) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.chart.Run(ctx) })
	g.Go(func() error {
		// What a subscriber may see can depend on parameters that it is not known by yet; she is told later.
		p.reindex(ctx)
		return p.told.Run(ctx)
	})
	if p.keeper != nil {
		g.Go(func() error { return p.keeper.Run(ctx) })
	}
	g.Go(func() error { return p.sweep(ctx) })
	return g.Wait()
}

// sweepEvery is how often what has ended is removed. Nothing depends on it: it is refused before.
const sweepEvery = 5 * time.Minute

// sweep removes authorisations and exports whose time is over.
func (p *fhirPart) sweep(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if err := errors.Join(p.apps.Server.Sweep(), p.files.Sweep()); err != nil {
			p.log.WarnContext(ctx, "not_swept", "err", err)
		}
	}
}
