package custody

import "context"

// Steps does by hand what Run's loops do by themselves, for a simulation that owns the clock
// and the order of everything. It must not be used beside Run.
type Steps struct {
	c     *Custodian
	asked map[[32]byte]asking
	begun bool
}

// Steps returns the custodian's steps, none taken yet.
func (c *Custodian) Steps() *Steps { return &Steps{c: c, asked: map[[32]byte]asking{}} }

// Follow reads what the ledger has new, takes in what is ready and sends what is due. What
// cannot be sent now is sent by a later step. An error is one that would end Run.
func (s *Steps) Follow(ctx context.Context) error {
	if !s.begun {
		if err := s.c.heldPacks(); err != nil {
			return err
		}
		s.begun = true
	}
	if err := s.c.readLog(ctx); err != nil {
		return err
	}
	if err := s.c.ingestReady(ctx); err != nil {
		return err
	}
	if _, err := s.c.sendDue(ctx); err != nil {
		s.c.Log.DebugContext(ctx, "receipts_wait", "err", err)
	}
	return nil
}

// Look asks for parcels that should have come, tells the ledger of releases, looks after the
// custody keys and tidies up. An error is one that would end Run.
func (s *Steps) Look(ctx context.Context) error {
	if err := s.c.chaseOnce(ctx, s.asked); err != nil {
		return err
	}
	if err := s.c.sendRoot(ctx); err != nil {
		s.c.Log.DebugContext(ctx, "release_root_waits", "err", err)
	}
	if err := s.c.rotateOnce(ctx); err != nil {
		s.c.Log.DebugContext(ctx, "custody_key_waits", "err", err)
	}
	return s.c.tidy()
}
