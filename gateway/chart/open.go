package chart

import (
	"context"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// Opened returns the ledger session under which a practitioner has a patient's chart open for a
// purpose; ok is false if there is none. It says nothing of what the session allows.
func (s *Service) Opened(name string, patient tx.Account, purpose consent.Purpose) (session tx.Hash, ok bool) {
	for _, c := range s.charts.list() {
		if c.key != (chartKey{name, patient, purpose}) {
			continue
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.session == nil {
			return session, false
		}
		if good, _ := s.standing(c); !good {
			return session, false
		}
		return c.session.ID, true
	}
	return session, false
}

// Close empties the chart that a practitioner has open under a session and ends the session on the
// ledger. It does nothing if she has none under it. Errors: of the store, of who submits.
func (s *Service) Close(ctx context.Context, name string, session tx.Hash) error {
	for _, c := range s.charts.list() {
		if c.key.name != name {
			continue
		}
		c.mu.Lock()
		if c.session == nil || c.session.ID != session {
			c.mu.Unlock()
			continue
		}
		x := c.session
		c.session, c.allowed = nil, 0
		err := s.empty(ctx, c)
		c.mu.Unlock()
		s.charts.drop(c)
		if err != nil {
			return err
		}
		return x.Close(ctx)
	}
	return nil
}
