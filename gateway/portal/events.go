package portal

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"salus/ledger/module/audit"
	"salus/ledger/tx"
)

// aliveEvery is how often a silent stream says that it lives, and looks whether its session does.
const aliveEvery = 20 * time.Second

// events is a stream of server-sent events (HTML, section 9.2): "log" with the number of entries
// of the patient's own log, whenever it has grown beyond ?since= or the Last-Event-ID. What the
// entries say she fetches as a receipt and verifies. It ends with the session, which it does not
// keep alive.
func (p *Portal) events(w http.ResponseWriter, r *http.Request, s *session) error {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("since")
	}
	var seen uint64
	if text != "" {
		var err error
		if seen, err = strconv.ParseUint(text, 10, 64); err != nil {
			return errArgument
		}
	}
	arg, err := tx.Encode(audit.ByPatient{Patient: s.account})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	alive := time.NewTicker(aliveEvery)
	defer alive.Stop()
	if _, err := fmt.Fprint(w, ": salus\n\n"); err != nil {
		return nil //nolint:nilerr // the browser went away
	}
	for {
		changed := p.Changed()
		var at audit.Position
		b, err := p.Ledger.Ask("audit/position", arg)
		if err == nil {
			err = tx.Decode(b, &at)
		}
		if _, refused := errors.AsType[*tx.Refusal](err); err != nil && !refused {
			p.Log.ErrorContext(r.Context(), "portal_events_failed", "err", err)
			return nil
		}
		if at.Seq > seen {
			seen = at.Seq
			if _, err := fmt.Fprintf(w, "event: log\nid: %d\ndata: %d\n\n", seen, seen); err != nil {
				return nil //nolint:nilerr // the browser went away
			}
		}
		if out.Flush() != nil {
			return nil
		}
		select {
		case <-changed:
		case <-alive.C:
			if _, ok := p.find(r, false); !ok {
				return nil
			}
			if _, err := fmt.Fprint(w, ": alive\n\n"); err != nil {
				return nil //nolint:nilerr // the browser went away
			}
		case <-s.gone:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}
