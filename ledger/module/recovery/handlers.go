package recovery

import (
	"encoding/binary"
	"slices"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:   "recovery",
		Prefix: Prefix,
		Calls: []ledger.Call{
			ledger.On(KindGuardians, setGuardians),
			ledger.On(KindRequest, request),
			ledger.On(KindApprove, approve),
			ledger.On(KindCancel, cancel),
			ledger.On(KindFinish, finish),
		},
		Queries:  queries(),
		Genesis:  genesis,
		EndBlock: lapse,
		Codes:    Codes(),
		Tables:   tables(),
		Entries:  entries(),
	}
}

func setGuardians(c *ledger.Context, m *SetGuardians) error {
	p, ok := identity.Lookup(c.State, m.Patient)
	old := GuardiansOf(c.State, m.Patient)
	switch {
	case !ok || p.Class != ledger.ClassPatient || !p.Active:
		return ErrPatient
	case c.Signer.Account != m.Patient:
		return ErrNotPatient
	case !c.Signer.UserVerified:
		return ErrUserVerification
	case identity.Recovering(c.State, m.Patient):
		return ErrLocked
	case m.Version != old.Version+1:
		return ErrVersion
	}
	g := Guardians{Version: m.Version, Threshold: m.Threshold, Commitments: m.Commitments, Height: uint64(c.Height)}
	guardians.Put(c.State, m.Patient[:], g)
	c.Append(EntryGuardians, Named{Patient: m.Patient, Guardians: g})
	e := audit.Event{Action: audit.GuardiansNamed, Actor: m.Patient, Member: p.Member, Count: uint32(m.Threshold)}
	binary.BigEndian.PutUint64(e.Ref[:], g.Version)
	audit.Append(c, m.Patient, e)
	return nil
}

func request(c *ledger.Context, m *Request) error {
	t := &m.Terms
	p, ok := identity.Lookup(c.State, t.Patient)
	if !ok || p.Class != ledger.ClassPatient {
		return ErrPatient
	}
	at := StandingOf(c.State, t.Patient)
	_, runs := at.Of(t.Kind)
	switch dead := identity.Deceased(c.State, t.Patient); {
	case dead && (t.Kind == Keys || t.Kind == Death):
		return ErrDeceased
	case !dead && (t.Kind == Life || t.Kind == Executor):
		return ErrAlive
	case runs:
		return ErrRunning
	case t.Number != at.Number+1:
		return ErrNumber
	}
	k := Case{
		ID: t.ID(c.Chain), Terms: *t, Status: Gathering, Needed: Staff,
		Opened: c.Time, Until: c.Time + governance.ParamsOf(c.State).RecoveryPeriod,
	}
	a, err := approver(c, &k, p, m.Proof)
	if err != nil {
		return err
	}
	if err := takeOpening(c, t.Patient, a.Who); err != nil {
		return err
	}
	if err := possible(c, t); err != nil {
		return err
	}
	if err := k.approve(a); err != nil {
		return err
	}
	at.Number, at.Last = t.Number, k.ID
	i, _ := slices.BinarySearchFunc(at.Running, t.Kind, func(s Slot, k Kind) int { return int(s.Kind) - int(k) })
	at.Running = slices.Insert(slices.Clone(at.Running), i, Slot{Kind: t.Kind, Case: k.ID})
	patients.Put(c.State, t.Patient[:], at)
	queue.Put(c.State, lapseAt(k.Until, k.ID), running{})
	cases.Put(c.State, k.ID[:], k)
	if t.Kind == Keys {
		identity.Lock(c, t.Patient, k.ID)
	}
	c.Append(EntryCase, Asked{ID: k.ID, Terms: *t})
	report(c, &k, audit.RecoveryRequested)
	return nil
}

// approver returns who approves a case with this transaction. The first one says
// which way the case goes.
func approver(c *ledger.Context, k *Case, patient identity.Principal, p *Proof) (Approver, error) {
	first := len(k.Approvals) == 0
	if p != nil {
		if !first && k.Member != (tx.Account{}) {
			return Approver{}, ErrRoute
		}
		g := GuardiansOf(c.State, k.Terms.Patient)
		a, err := guardian(c, g, k.Terms.Patient, k.ID, p)
		if first {
			k.Needed = g.Threshold
		}
		return a, err
	}
	a, member, err := staff(c, patient)
	if err != nil {
		return a, err
	}
	if first {
		k.Member = member
	}
	if k.Member != member {
		return a, ErrRoute
	}
	return a, nil
}

// possible says whether the terms could be carried out as things stand.
func possible(c *ledger.Context, t *Terms) error {
	switch t.Kind {
	case Keys:
		return identity.Replaceable(c, t.Patient, t.Keys, t.Revoke)
	case Executor:
		p, ok := identity.Lookup(c.State, t.Executor.Account)
		if !ok || p.Class != ledger.ClassPatient || !p.Active {
			return ErrExecutor
		}
	case Death, Life:
	}
	return nil
}

// takeOpening counts a case against what one person may open about one patient.
func takeOpening(c *ledger.Context, patient, who tx.Account) error {
	o, _ := opened.Get(c.State, pair(patient, who))
	o.Recent = recent(o.Recent, c.Time)
	if uint64(len(o.Recent)) >= governance.ParamsOf(c.State).RecoveryQuota {
		return ErrQuota
	}
	o.Recent = append(slices.Clip(o.Recent), c.Time)
	opened.Put(c.State, pair(patient, who), o)
	return nil
}

// open returns a case that is running at the time of the block.
func open(c *ledger.Context, id tx.Hash) (Case, identity.Principal, error) {
	k, ok := Lookup(c.State, id)
	if !ok {
		return k, identity.Principal{}, ErrUnknown
	}
	if !k.Status.Running() || c.Time >= k.Until {
		return k, identity.Principal{}, ErrClosed
	}
	p, ok := identity.Lookup(c.State, k.Terms.Patient)
	if !ok {
		panic("recovery: corrupt state: a case without its patient")
	}
	return k, p, nil
}

func approve(c *ledger.Context, m *Approve) error {
	k, p, err := open(c, m.Case)
	if err != nil {
		return err
	}
	if k.Status != Gathering {
		return ErrApproved
	}
	a, err := approver(c, &k, p, m.Proof)
	if err != nil {
		return err
	}
	if err := k.approve(a); err != nil {
		return err
	}
	report(c, &k, audit.RecoveryApproved)
	if !k.carried(c.State) {
		cases.Put(c.State, k.ID[:], k)
		return nil
	}
	if k.Terms.Kind == Death || k.Terms.Kind == Life { // neither takes anything that the other does not give back
		return carryOut(c, &k)
	}
	params := governance.ParamsOf(c.State)
	delay := params.RecoveryDelay
	if k.Terms.Kind == Executor {
		delay = params.ExecutorDelay
	}
	queue.Delete(c.State, lapseAt(k.Until, k.ID))
	k.Status, k.From = Waiting, c.Time+delay
	k.Until = k.From + params.RecoveryPeriod
	queue.Put(c.State, lapseAt(k.Until, k.ID), running{})
	cases.Put(c.State, k.ID[:], k)
	return nil
}

func cancel(c *ledger.Context, m *Cancel) error {
	k, p, err := open(c, m.Case)
	if err != nil {
		return err
	}
	if c.Signer.Account != k.Terms.Patient {
		// A case of guardians is nobody's but hers: its member is zero.
		if _, member, err := staff(c, p); err != nil || member != k.Member {
			return ErrCancel
		}
	}
	if !c.Signer.UserVerified {
		return ErrUserVerification
	}
	end(c, &k, Cancelled, c.Signer.Account)
	report(c, &k, audit.RecoveryCancelled)
	return nil
}

func finish(c *ledger.Context, m *Finish) error {
	k, _, err := open(c, m.Case)
	switch {
	case err != nil:
		return err
	case k.Status != Waiting || !k.carried(c.State):
		return ErrApprovals
	case c.Time < k.From:
		return ErrEarly
	}
	return carryOut(c, &k)
}

// carryOut does what the case asks for.
func carryOut(c *ledger.Context, k *Case) error {
	t := &k.Terms
	if err := possible(c, t); err != nil {
		return err
	}
	end(c, k, Finished, c.Signer.Account)
	report(c, k, audit.RecoveryFinished)
	switch t.Kind {
	case Keys:
		return identity.Replace(c, t.Patient, t.Keys, t.Revoke)
	case Death:
		supersede(c, t.Patient, Keys)
		identity.Die(c, t.Patient)
	case Life:
		supersede(c, t.Patient, Executor)
		if was := identity.Live(c, t.Patient); was != (tx.Account{}) {
			consent.Dismiss(c, t.Patient, was)
		}
	case Executor:
		was := identity.SetExecutor(c, t.Patient, t.Executor.Account)
		if was != (tx.Account{}) && was != t.Executor.Account {
			consent.Dismiss(c, t.Patient, was)
		}
		return consent.Appoint(c, t.Patient, *t.Executor, t.Document)
	}
	return nil
}

// supersede cancels a running case that has lost its ground.
func supersede(c *ledger.Context, patient tx.Account, kind Kind) {
	id, runs := StandingOf(c.State, patient).Of(kind)
	if !runs {
		return
	}
	k, _ := Lookup(c.State, id)
	end(c, &k, Cancelled, tx.Account{})
	report(c, &k, audit.RecoveryCancelled)
}

// end closes a case and takes it out of what is running.
func end(c *ledger.Context, k *Case, s Status, by tx.Account) {
	queue.Delete(c.State, lapseAt(k.Until, k.ID))
	k.Status, k.Closed, k.By = s, c.Time, by
	cases.Put(c.State, k.ID[:], *k)
	at := StandingOf(c.State, k.Terms.Patient)
	at.Running = slices.DeleteFunc(slices.Clone(at.Running), func(s Slot) bool { return s.Case == k.ID })
	patients.Put(c.State, k.Terms.Patient[:], at)
	if k.Terms.Kind == Keys {
		identity.Unlock(c, k.Terms.Patient)
	}
}

// report adds an event of the case to the patient's chain, which is the notice to
// all her devices and to her steward.
func report(c *ledger.Context, k *Case, what audit.Action) {
	p, _ := identity.Lookup(c.State, k.Terms.Patient)
	e := audit.Event{Action: what, Actor: c.Signer.Account, Member: p.Member, Ref: k.ID, Count: uint32(k.Terms.Kind)}
	if k.Member != (tx.Account{}) {
		e.Member = k.Member
	}
	audit.Append(c, k.Terms.Patient, e)
}

// lapse ends what was not finished in time: the timer of the module. It reads the
// queue up to the block's time and one row beyond.
func lapse(c *ledger.Context) error {
	var due []tx.Hash
	queue.Scan(c.State, nil, func(key []byte, _ running) bool {
		if binary.BigEndian.Uint64(key) > c.Time {
			return false
		}
		due = append(due, tx.Hash(key[8:]))
		return true
	})
	for _, id := range due {
		k, ok := Lookup(c.State, id)
		if !ok {
			panic("recovery: corrupt state: a queue without its case")
		}
		end(c, &k, Lapsed, tx.Account{})
		report(c, &k, audit.RecoveryLapsed)
	}
	return nil
}
