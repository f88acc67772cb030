package gateway

import (
	"net/http"

	"salus/gateway/balp"
	"salus/ledger/tx"
	"salus/record"
)

var errLog = &Problem{"journal", "gateway: what happens cannot be recorded: nothing is answered", http.StatusServiceUnavailable}

// told records what a route answers of a patient, also that it is refused, before the answer leaves.
func (g *Gateway) told(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.Tell == nil {
			next.ServeHTTP(w, r)
			return
		}
		a := &balp.Answer{ResponseWriter: w, Record: func(status int) error {
			e := balp.Request(r, nil, "", status)
			e.Kind, e.Query, e.Resources = balp.Operation, r.Method+" "+r.URL.Path, nil
			if status == http.StatusUnauthorized {
				return g.Tell(r.Context(), tx.Account{}, e)
			}
			return g.Tell(r.Context(), g.subject(r), e)
		}, Refuse: func(w http.ResponseWriter, err error) {
			g.Log.ErrorContext(r.Context(), "event_not_recorded", "err", err)
			g.fail(w, r, errLog)
		}}
		next.ServeHTTP(a, r)
		a.Finish()
	})
}

// subject is the patient that a request names, or whose record it names; zero if it names none.
func (g *Gateway) subject(r *http.Request) tx.Account {
	if a, err := tx.ParseAccount(r.PathValue("patient")); err == nil {
		return a
	}
	if id, err := record.ParseID(r.PathValue("id")); err == nil {
		if patient, err := g.Record.PatientOf(id); err == nil {
			return patient
		}
	}
	return tx.Account{}
}
