package oversight

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"salus/gateway/balp"
	"salus/gateway/rest"
)

// accounting answers the accounting of a patient's disclosures as JSON, CSV or FHIR.
func (s *Service) accounting(x *recording, r *http.Request, subject balp.Subject, by balp.Event) (reply, error) {
	if subject.Ref == "" {
		return reply{}, errPatient
	}
	q := r.URL.Query()
	now := time.Now()
	t := balp.Terms{Patient: balp.Who{Reference: subject.Ref}, Requested: now, To: now, Self: s.Organization.Value, Everything: q.Get("everything") == "true", Officer: x.asker.Operator}
	for name, to := range map[string]*time.Time{"start": &t.From, "end": &t.To} {
		if v := q.Get(name); v != "" {
			at, err := time.Parse(time.DateOnly, v)
			if err != nil {
				return reply{}, errPeriod
			}
			*to = at
		}
	}
	acc, err := s.Events.Accounting(r.Context(), subject, t, by)
	if errors.Is(err, balp.ErrPeriod) {
		return reply{}, errPeriod
	}
	if err != nil {
		return reply{}, err
	}
	x.quiet = true
	var b strings.Builder
	switch q.Get("_format") {
	case "csv", "text/csv":
		err = acc.CSV(&b)
		return reply{status: http.StatusOK, body: []byte(b.String()), header: http.Header{"Content-Type": {"text/csv; charset=utf-8"}}}, err
	case "application/json":
		err = acc.JSON(&b)
		return reply{status: http.StatusOK, body: []byte(b.String()), header: http.Header{"Content-Type": {"application/json"}}}, err
	}
	body, err := acc.Bundle(&s.Events.Recorder.Site, s.Base)
	return reply{status: http.StatusOK, body: body}, err
}

var errPeriod = rest.NewFault(http.StatusBadRequest, "value", "oversight-period", "start and end are dates, YYYY-MM-DD, the one before the other, and neither is to come")
