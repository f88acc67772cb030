package lookup

import (
	"salus/ledger"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/threshold"
	"salus/threshold/oprf"
)

func begin(c *ledger.Context, m *Begin) error {
	if _, _, err := committee.Custodian(c); err != nil {
		return ErrCustodian
	}
	e, err := committee.Current(c.State)
	if err != nil || int(e.N) > threshold.MaxCustodians {
		return ErrCustodian
	}
	last, ok := ceremony.Get(c.State, nil)
	if m.Number != last.Number+1 {
		return ErrCeremony
	}
	old, passes := Current(c.State)
	if ok && last.Phase < Done || passes && old.Epoch == e.Epoch {
		return ErrRunning
	}
	next := Ceremony{
		Number: m.Number, Phase: Dealing, Ends: c.Time + governance.ParamsOf(c.State).LookupPhase,
		Epoch: e.Epoch, T: e.T, Recipients: e.Members, Dealers: e.Members, Missing: make([]uint64, e.N),
	}
	if passes {
		next.From, next.Dealers = old.Number, old.Members
	}
	for d := range last.Dealers {
		dealings.Delete(c.State, dealtBy(last.Number, d+1))
		for r := range last.Recipients {
			answers.Delete(c.State, answeredTo(last.Number, d+1, r+1))
		}
	}
	ceremony.Put(c.State, nil, next)
	c.Append(EntryCeremony, next)
	return nil
}

// during returns the ceremony of that number if it is in that phase.
func during(c *ledger.Context, number uint64, phase Phase) (Ceremony, error) {
	run, ok := ceremony.Get(c.State, nil)
	if !ok || run.Number != number || run.Phase != phase {
		return run, ErrCeremony
	}
	return run, nil
}

func deal(c *ledger.Context, m *Deal) error {
	run, err := during(c, m.Ceremony, Dealing)
	if err != nil {
		return err
	}
	i, err := seat(c, run.Dealers)
	if err != nil {
		return err
	}
	if run.Dealt&bit(i) != 0 {
		return ErrAgain
	}
	var eval, open oprf.Element
	if run.From != 0 {
		old, _ := Current(c.State)
		eval, open = oprf.Element(old.Evals[i-1]), oprf.Element(old.Opens[i-1])
	}
	if oprf.CheckDealing(elements(m.Eval), int(run.T), eval) != nil || oprf.CheckDealing(elements(m.Open), int(run.T), open) != nil {
		return ErrDealing
	}
	dealings.Put(c.State, dealtBy(run.Number, i), Dealt{Eval: m.Eval, Open: m.Open})
	run.Dealt |= bit(i)
	ceremony.Put(c.State, nil, run)
	return nil
}

func vouch(c *ledger.Context, m *Vouch) error {
	run, err := during(c, m.Ceremony, Vouching)
	if err != nil {
		return err
	}
	j, err := seat(c, run.Recipients)
	if err != nil {
		return err
	}
	switch {
	case run.Vouched&bit(j) != 0:
		return ErrAgain
	case m.Sound&^run.Dealt != 0:
		return ErrDealing
	}
	run.Vouched |= bit(j)
	run.Missing[j-1] = run.Dealt &^ m.Sound
	ceremony.Put(c.State, nil, run)
	return nil
}

func answer(c *ledger.Context, m *Answer) error {
	run, err := during(c, m.Ceremony, Answering)
	if err != nil {
		return err
	}
	i, err := seat(c, run.Dealers)
	if err != nil {
		return err
	}
	j := int(m.Recipient)
	if j > len(run.Recipients) || run.Missing[j-1]&bit(i) == 0 {
		return ErrAnswer
	}
	d, ok := dealings.Get(c.State, dealtBy(run.Number, i))
	if !ok || oprf.VerifyShare(elements(d.Eval), j, threshold.Share(m.Eval)) != nil || oprf.VerifyShare(elements(d.Open), j, threshold.Share(m.Open)) != nil {
		return ErrAnswer
	}
	answers.Put(c.State, answeredTo(run.Number, i, j), Opened{Eval: m.Eval, Open: m.Open})
	run.Missing[j-1] &^= bit(i)
	ceremony.Put(c.State, nil, run)
	return nil
}

// advance ends the phase of a running ceremony when all have acted or its time is over.
func advance(c *ledger.Context) error {
	run, ok := ceremony.Get(c.State, nil)
	if !ok || run.Phase >= Done {
		return nil
	}
	over := c.Time >= run.Ends
	enough := int(run.T) // of the dealers
	if run.From != 0 {
		old, _ := Current(c.State)
		enough = int(old.T)
	}
	next := func(p Phase) {
		run.Phase, run.Ends = p, c.Time+governance.ParamsOf(c.State).LookupPhase
	}
	switch run.Phase {
	case Dealing:
		switch {
		case run.Dealt == all(len(run.Dealers)), over && size(run.Dealt) >= enough:
			next(Vouching)
		case over:
			next(Failed)
		default:
			return nil
		}
	case Vouching:
		switch {
		case run.Vouched != all(len(run.Recipients)) && !over:
			return nil
		case size(run.Vouched) < int(run.T): // too few would hold shares
			next(Failed)
		case run.complained() == 0:
			finish(c, &run, enough)
		default:
			next(Answering)
		}
	case Answering:
		if run.complained() != 0 && !over {
			return nil
		}
		run.Blamed = run.complained()
		finish(c, &run, enough)
	}
	ceremony.Put(c.State, nil, run)
	if run.Phase >= Done {
		c.Append(EntryCeremony, run)
	}
	return nil
}

// complained is the set of dealers of whom somebody complains.
func (run *Ceremony) complained() (set uint64) {
	for _, m := range run.Missing {
		set |= m
	}
	return set
}

// finish puts the key in force that the agreed dealers made. They are, for a fresh key,
// all of whom nobody complains; for one that is passed on, the first t of them.
func finish(c *ledger.Context, run *Ceremony, enough int) {
	run.Phase = Failed
	good := indices(run.Dealt &^ run.Blamed)
	if len(good) < enough {
		return
	}
	if run.From != 0 {
		good = good[:enough]
	}
	var evals, opens [][]oprf.Element
	for _, i := range good {
		d, _ := dealings.Get(c.State, dealtBy(run.Number, i))
		evals, opens = append(evals, elements(d.Eval)), append(opens, elements(d.Open))
		run.Agreed |= bit(i)
	}
	n := len(run.Recipients)
	eval, err := committeeOf(n, run.From != 0, good, evals)
	if err != nil {
		return // dealings that cancel each other out: nobody's fault, and nobody's key
	}
	open, err := committeeOf(n, run.From != 0, good, opens)
	if err != nil {
		return
	}
	k := Key{
		Number: run.Number, Epoch: run.Epoch, T: run.T, Members: run.Recipients, Eval: [32]byte(eval.Key), Open: [32]byte(open.Key),
		Evals: hashes(eval.Shares), Opens: hashes(open.Shares), Height: uint64(c.Height),
	}
	run.Phase = Done
	keys.Put(c.State, nil, k)
	c.Append(EntryKey, k)
}

func committeeOf(n int, passes bool, dealers []int, dealings [][]oprf.Element) (*oprf.Committee, error) {
	if passes {
		return oprf.Carry(n, dealers, dealings)
	}
	return oprf.Join(n, dealings)
}
