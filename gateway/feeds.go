package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"salus/hl7"
	"salus/hl7/feed"
	"salus/hl7/mllp"
)

// Feeds are the node's HL7 v2 feeds (docs/hl7v2.md). Errors: ErrFeed, ErrFeedOff,
// ErrFeedDirection, ErrFeedPatient, those of hl7/feed.
type Feeds interface {
	List() []Feed
	// Letters lists what a feed could not apply, or its receiver did not take.
	Letters(name string) ([]Letter, error)
	// Message returns the bytes of a message as received; that is recorded in the log.
	Message(ctx context.Context, name string, number uint64) ([]byte, error)
	// Replay does a dead letter again: nil says that it was applied, or queued to be sent.
	Replay(ctx context.Context, name string, number uint64) error
	Discard(ctx context.Context, name string, number uint64) error
	// SetAside makes a dead letter of the first pending message, which the others wait for.
	SetAside(ctx context.Context, name string, number uint64) error
	// Send queues a message about a patient, "Patient/<id>"; "" is for messages about nobody.
	Send(ctx context.Context, name, patient string, raw []byte) (uint64, error)
	// Lost lists what the messages that a feed makes of a resource, "Observation/<id>" of the own store, leave out; of an
	// event ("ADT^A31"), or if that is "" of those that the first version of such a resource calls for. That is recorded.
	// Errors: ErrFeedResource, ErrFeedEvent, ErrFeedWithheld.
	Lost(ctx context.Context, name, resource, event string) ([]FeedLost, error)
}

// MediaHL7 is the type of a message in a request or an answer (hl7/tofhir.MediaType).
const MediaHL7 = "application/hl7-v2"

// A Feed is one feed and its counts.
type Feed struct {
	Name      string     `json:"name"`
	Direction string     `json:"direction"` // in or out
	Address   string     `json:"address"`
	TLS       bool       `json:"tls"`
	State     string     `json:"state"` // on, off, failed
	Received  uint64     `json:"received"`
	Applied   uint64     `json:"applied"` // or taken by the receiver
	Again     uint64     `json:"again"`   // came again since the node started
	Pending   uint64     `json:"pending"`
	Dead      uint64     `json:"dead"`
	First     uint64     `json:"first,omitempty"`  // number of the first that is pending
	Oldest    *time.Time `json:"oldest,omitempty"` // when that came
}

// A Letter is a dead letter: what is wrong with it, and nothing that it says.
type Letter struct {
	Number   uint64    `json:"number"`
	Hash     string    `json:"sha256"`
	Code     string    `json:"code"` // AE or AR
	Reason   string    `json:"reason"`
	Received time.Time `json:"received"`
}

// FeedLost is what one message leaves out.
type FeedLost struct {
	Event   string        `json:"event"`
	Missing []FeedMissing `json:"missing"`
	More    bool          `json:"more,omitempty"` // there was more to look at than fromfhir.MaxProbes
}

// FeedMissing is an element of which a message says nothing: a name, not what is there.
type FeedMissing struct {
	Resource string `json:"resource"` // "Patient/3f1c": the one asked about, or one that its message tells of too
	Path     string `json:"path"`     // "Patient.contact[0]", by the names of FHIR JSON
}

// Queued is the answer of POST /v1/feeds/{name}/send.
type Queued struct {
	Number uint64 `json:"number"`
}

// What a feed refuses, beside the errors of its messages.
var (
	ErrFeed          error = &Problem{"feed", "gateway: there is no feed of that name", http.StatusNotFound}
	ErrFeedOff       error = &Problem{"feed-off", "gateway: the feed is off: nothing is done with its messages", http.StatusConflict}
	ErrFeedDirection error = &Problem{"feed-direction", "gateway: the feed goes the other way", http.StatusConflict}
	ErrFeedPatient   error = &Problem{"feed-patient", "gateway: the message is about a patient: say whose it is, as Patient/<id> of the own store, so that the disclosure is recorded", http.StatusUnprocessableEntity}
	ErrFeedResource  error = &Problem{"feed-resource", "gateway: the own store has no such resource", http.StatusNotFound}
	ErrFeedEvent     error = &Problem{"feed-event", "gateway: the feed makes no such message of the resource; its publish says which, name an event that it lists", http.StatusUnprocessableEntity}
	ErrFeedWithheld  error = &Problem{"feed-withheld", "gateway: the feed may not tell of the resource, or of what its message would have to say (publish_labels), or that has no place for a notice that must go with it", http.StatusUnprocessableEntity}
	errLetter              = &Problem{"feed-message", "gateway: the feed has no such message, or it is not in that state", http.StatusNotFound}
	errFeedFailed          = &Problem{"feed-failed", "gateway: the feed's journal cannot be written; its log says why, a restart opens it again", http.StatusServiceUnavailable}
	errFeedContent         = &Problem{"feed-content", "gateway: the message holds a control character that MLLP frames with", http.StatusUnprocessableEntity}
)

// feedProblem is what an error of a feed is to a caller; nil for every other error. Reasons are codes:
// they say nothing of the message.
func feedProblem(err error) *Problem {
	var r *feed.Rejection
	var e *hl7.Error
	switch {
	case errors.Is(err, feed.ErrUnknown):
		return errLetter
	case errors.Is(err, feed.ErrFailed):
		return errFeedFailed
	case errors.Is(err, mllp.ErrContent):
		return errFeedContent
	case errors.As(err, &r):
		return &Problem{r.Code, "gateway: the message cannot be applied: " + r.Code, http.StatusUnprocessableEntity}
	case errors.As(err, &e):
		return &Problem{e.Code, e.Error(), http.StatusUnprocessableEntity}
	}
	return nil
}

func (g *Gateway) feeds(w http.ResponseWriter, _ *http.Request) error {
	if g.Feeds == nil {
		return answer(w, []Feed{})
	}
	return answer(w, g.Feeds.List())
}

// feedOf is the feed and the message's number that a request names.
func (g *Gateway) feedOf(r *http.Request) (name string, number uint64, err error) {
	if g.Feeds == nil {
		return "", 0, ErrFeed
	}
	if n := r.PathValue("number"); n != "" {
		if number, err = strconv.ParseUint(n, 10, 64); err != nil {
			return "", 0, errArgument
		}
	}
	return r.PathValue("name"), number, nil
}

func (g *Gateway) feedLetters(w http.ResponseWriter, r *http.Request) error {
	name, _, err := g.feedOf(r)
	if err != nil {
		return err
	}
	list, err := g.Feeds.Letters(name)
	if err != nil {
		return err
	}
	return answer(w, list)
}

func (g *Gateway) feedMessage(w http.ResponseWriter, r *http.Request) error {
	name, number, err := g.feedOf(r)
	if err != nil {
		return err
	}
	raw, err := g.Feeds.Message(r.Context(), name, number)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", MediaHL7)
	w.Header().Set("Cache-Control", "no-store")
	_, err = w.Write(raw)
	return err
}

func (g *Gateway) feedLost(w http.ResponseWriter, r *http.Request) error {
	name, _, err := g.feedOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	list, err := g.Feeds.Lost(r.Context(), name, q.Get("resource"), q.Get("event"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, list)
}

func (g *Gateway) feedReplay(w http.ResponseWriter, r *http.Request) error {
	return g.feedDo(w, r, func(name string, number uint64) error { return g.Feeds.Replay(r.Context(), name, number) })
}

func (g *Gateway) feedDiscard(w http.ResponseWriter, r *http.Request) error {
	return g.feedDo(w, r, func(name string, number uint64) error { return g.Feeds.Discard(r.Context(), name, number) })
}

func (g *Gateway) feedAside(w http.ResponseWriter, r *http.Request) error {
	return g.feedDo(w, r, func(name string, number uint64) error { return g.Feeds.SetAside(r.Context(), name, number) })
}

func (g *Gateway) feedDo(w http.ResponseWriter, r *http.Request, do func(string, uint64) error) error {
	name, number, err := g.feedOf(r)
	if err != nil {
		return err
	}
	if err := do(name, number); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) feedSend(w http.ResponseWriter, r *http.Request) error {
	name, _, err := g.feedOf(r)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("gateway: body: %w", err)
	}
	n, err := g.Feeds.Send(r.Context(), name, r.URL.Query().Get("patient"), raw)
	if err != nil {
		return err
	}
	return answer(w, Queued{n})
}
