package oversight

import (
	"context"
	"net/http"

	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/ledger/module/consent"
)

// A recording is an answer that waits for its AuditEvent.
type recording struct {
	balp.Answer

	s     *Service
	r     *http.Request
	asker Asker

	patient string // whom it is about, where the address does not say
	quiet   bool   // recorded already, by what answered
}

func (s *Service) recording(w http.ResponseWriter, r *http.Request, asker Asker) *recording {
	x := &recording{s: s, r: r, asker: asker}
	x.Answer = balp.Answer{ResponseWriter: w, Record: x.record, Refuse: x.refuse}
	return x
}

// About tells whose resource is answered (rest.Witness).
func (x *recording) About(owner string) {
	if x.patient == "" {
		x.patient = owner
	}
}

func (x *recording) refuse(w http.ResponseWriter, err error) {
	x.s.Log.ErrorContext(x.r.Context(), "event_not_recorded", "err", err)
	reply{status: http.StatusServiceUnavailable, issue: "oversight-journal", text: "what happens cannot be recorded: nothing is answered"}.send(w)
}

func (x *recording) record(status int) error {
	if x.quiet {
		return nil
	}
	e := balp.Request(x.r, nil, x.s.Prefix, status)
	x.s.fill(&e, &x.asker, x.patient)
	if e.Patient.Reference == "" {
		if ref, err := chart.Subject(x.r); err == nil {
			e.Patient.Reference = ref
		}
	}
	// Who hangs up has done all the same what she asked for.
	_, err := x.s.Events.Recorder.Record(context.WithoutCancel(x.r.Context()), e)
	return err
}

// fill says who asked, what for, and about whom.
func (s *Service) fill(e *balp.Event, a *Asker, patient string) {
	e.User, e.Organization = a.User, s.Organization
	if a.Client != "" {
		e.Client.Display = a.Client
	}
	if a.Purpose != 0 {
		e.Purposes = consent.PurposesOf(a.Purpose)
	}
	if patient == "" {
		patient = a.Patient
	}
	e.Patient.Reference = patient
}

// Left records that data of compartments left by another way than an answer: files of an export,
// notifications to a subscriber. It returns nil when that is on disk.
func (s *Service) Left(ctx context.Context, kind balp.Kind, client, what string, owners []string) error {
	for _, owner := range owners {
		_, err := s.Events.Recorder.Record(ctx, balp.Event{
			Kind: kind, Outcome: balp.Success, Organization: s.Organization, Client: balp.Who{Display: client}, Recipient: balp.Who{Display: client},
			Patient: balp.Who{Reference: owner}, Query: what,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
