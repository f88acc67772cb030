package portal

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
	"salus/receipt"
)

// About is the answer of GET /api/about.
type About struct {
	Name   string     `json:"name"`
	Member tx.Account `json:"member"`
	Chain  string     `json:"chain"`
	Origin string     `json:"origin"`
	RPID   string     `json:"rpId"`
	SignUp bool       `json:"signUp"`
	Staff  bool       `json:"staff"`
}

func (p *Portal) about(w http.ResponseWriter, _ *http.Request, _ *session) error {
	return answer(w, About{p.Name(), p.Self, p.Chain, p.Origin, p.rpID, p.SignUp, p.Staff != nil})
}

func (p *Portal) genesis(w http.ResponseWriter, _ *http.Request, _ *session) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(p.Genesis)
	return err
}

// Head is the answer of GET /api/head, with ?above= once there is a block above that height.
type Head struct {
	Height  int64   `json:"height"`
	Time    uint64  `json:"time"`
	AppHash tx.Hash `json:"appHash"`
}

// headTime is how long an answer waits for a block.
const headTime = 25 * time.Second

func (p *Portal) head(w http.ResponseWriter, r *http.Request, _ *session) error {
	if above := r.URL.Query().Get("above"); above != "" {
		n, err := strconv.ParseInt(above, 10, 64)
		if err != nil {
			return errArgument
		}
		ctx, cancel := context.WithTimeout(r.Context(), headTime)
		defer cancel()
		err = p.Transport.WaitChange(ctx, n)
		if errors.Is(err, client.ErrUnsettled) && p.Quorum != nil {
			select { // who asks again and again must not do so at once
			case <-p.Quorum.Back():
			case <-ctx.Done():
			}
		}
		if err != nil && r.Context().Err() != nil {
			return err
		}
	}
	h := p.Ledger.Head()
	return answer(w, Head{h.Height, h.Time, h.AppHash})
}

func (p *Portal) header(w http.ResponseWriter, r *http.Request, _ *session) error {
	n, err := strconv.ParseInt(r.PathValue("height"), 10, 64)
	if err != nil || n < 1 {
		return errArgument
	}
	if n > p.Ledger.Head().Height {
		return errUnknown
	}
	b, err := p.Blocks.Light(r.Context(), n)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, err = w.Write(b)
	return err
}

func (p *Portal) blocks(w http.ResponseWriter, r *http.Request, _ *session) error {
	var upTo int64
	if text := r.URL.Query().Get("upTo"); text != "" {
		var err error
		if upTo, err = strconv.ParseInt(text, 10, 64); err != nil || upTo < 1 {
			return errArgument
		}
	}
	list, err := p.Blocks.Recent(r.Context(), upTo, 20)
	if err != nil {
		return err
	}
	return answer(w, list)
}

// Member is what everybody may know of a member.
type Member struct {
	Account   tx.Account `json:"account"`
	Name      string     `json:"name"`
	Clinical  bool       `json:"clinical"`
	Validator bool       `json:"validator"`
	Active    bool       `json:"active"`
	Joined    uint64     `json:"joined"`
}

func (p *Portal) members(w http.ResponseWriter, _ *http.Request, _ *session) error {
	list, err := p.memberList()
	if err != nil {
		return err
	}
	out := []Member{}
	for _, m := range list {
		out = append(out, Member{m.Account, m.Name, m.Clinical, m.IsValidator(), m.Active, m.Joined})
	}
	return answer(w, out)
}

func (p *Portal) memberList() ([]governance.Member, error) {
	b, err := p.Ledger.Ask("governance/members", nil)
	if err != nil {
		return nil, err
	}
	var list governance.MemberList
	if err := tx.DecodeAny(b, &list, len(b)); err != nil {
		return nil, err
	}
	return list.Members, nil
}

func (p *Portal) nonce(w http.ResponseWriter, r *http.Request, s *session) error {
	n, err := p.Transport.NextNonce(r.Context(), s.account)
	if err != nil {
		return err
	}
	return answer(w, Claimable{n, p.Ledger.Head().Height})
}

// submit takes a transaction that the session's account signed. The ledger checks it.
func (p *Portal) submit(w http.ResponseWriter, r *http.Request, s *session) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	e, b, err := tx.DecodeEnvelope(raw)
	if err != nil {
		return err
	}
	if b.Signer != s.account {
		return errAccount
	}
	if b.Chain != p.Chain {
		return errArgument
	}
	if err := p.Transport.Broadcast(r.Context(), raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return answer(w, map[string]tx.Hash{"id": tx.Digest(e.Body, b.Chain)})
}

// result answers what became of a transaction; with ?wait it waits for the block. Who knows an id
// knows the transaction.
func (p *Portal) result(w http.ResponseWriter, r *http.Request, _ *session) error {
	id, err := tx.ParseHash(r.PathValue("id"))
	if err != nil {
		return errArgument
	}
	var wait time.Duration
	if r.URL.Query().Has("wait") {
		wait = commitTime
	}
	return p.await(w, r, id, wait)
}

func (p *Portal) await(w http.ResponseWriter, r *http.Request, id tx.Hash, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	var lost <-chan struct{}
	if p.Quorum != nil && wait > 0 {
		lost = p.Quorum.Lost()
	}
	for {
		changed := p.Changed()
		got, ok, err := p.Transport.Result(r.Context(), id)
		if err != nil {
			return err
		}
		if ok {
			return answer(w, got)
		}
		select {
		case <-changed:
		case <-lost:
			return errUnsettled
		case <-ctx.Done():
			return errUnknown
		}
	}
}

// own are the queries that a patient may ask, each with the account that its argument names; zero
// is of everybody. What is not here is not answered.
var own = map[string]func(arg []byte) (tx.Account, error){
	"identity/principal": func(arg []byte) (tx.Account, error) {
		var q identity.ByAccount
		err := tx.Decode(arg, &q)
		return q.Account, err
	},
	"consent/grants": func(arg []byte) (tx.Account, error) {
		var q consent.ByPatient
		err := tx.Decode(arg, &q)
		return q.Patient, err
	},
	"consent/denials": func(arg []byte) (tx.Account, error) {
		var q consent.ByPatient
		err := tx.Decode(arg, &q)
		return q.Patient, err
	},
	"consent/grant": func(arg []byte) (tx.Account, error) {
		var q consent.ByGrant
		err := tx.Decode(arg, &q)
		return q.Patient, err
	},
	"consent/evaluate": func(arg []byte) (tx.Account, error) {
		var q consent.Ask
		err := tx.Decode(arg, &q)
		return q.Patient, err
	},
	"audit/position": func(arg []byte) (tx.Account, error) {
		var q audit.ByPatient
		err := tx.Decode(arg, &q)
		return q.Patient, err
	},
	"recovery/patient": func(arg []byte) (tx.Account, error) {
		var q recovery.ByAccount
		err := tx.Decode(arg, &q)
		return q.Account, err
	},
	"emergency/directive": func(arg []byte) (tx.Account, error) {
		var q emergency.ByPatient
		err := tx.Decode(arg, &q)
		return q.Patient, err
	},
	"governance/params":  everybody,
	"governance/members": everybody,
	"committee/epoch":    everybody,
	"committee/keys":     everybody,
}

// cases are the queries for one case, each with the patient whom an answer is about.
var cases = map[string]func(answer []byte) (tx.Account, error){
	"recovery/case":       patientIn(func(k *recovery.Case) tx.Account { return k.Terms.Patient }),
	"emergency/case":      patientIn(func(k *emergency.Case) tx.Account { return k.Patient }),
	"erasure/case":        patientIn(func(k *erasure.Case) tx.Account { return k.Patient }),
	"erasure/certificate": patientIn(func(k *erasure.Certificate) tx.Account { return k.Case.Patient }),
}

func patientIn[T any](of func(*T) tx.Account) func([]byte) (tx.Account, error) {
	return func(answer []byte) (tx.Account, error) {
		var v T
		err := tx.DecodeAny(answer, &v, len(answer))
		return of(&v), err
	}
}

func everybody([]byte) (tx.Account, error) { return tx.Account{}, nil }

// query answers canonical CBOR: ?arg=<hex>. Of principals, a patient sees herself and whoever is no
// patient: the directory of who could look.
func (p *Portal) query(w http.ResponseWriter, r *http.Request, s *session) error {
	path := r.PathValue("module") + "/" + r.PathValue("name")
	arg, err := hex.DecodeString(r.URL.Query().Get("arg"))
	if err != nil {
		return errArgument
	}
	of, ok := own[path]
	if !ok {
		if patient, ok := cases[path]; ok {
			return p.ownCase(w, path, arg, patient, s)
		}
		if path == "emergency/flags" {
			return p.ownFlags(w, arg, s)
		}
		if path == "erasure/holds" {
			return p.holds(w, s)
		}
		return p.sessionQuery(w, path, arg, s)
	}
	who, err := of(arg)
	switch {
	case err != nil:
		return errArgument
	case who == s.account, who == tx.Account{}:
	case path == "identity/principal":
		if other, ok := p.Ledger.Standing(who); !ok || other.Class == ledger.ClassPatient {
			return errAccount
		}
	default:
		return errAccount
	}
	out, err := p.Ledger.Ask(path, arg)
	if err != nil {
		return err
	}
	return cbor(w, out)
}

// sessionQuery answers access/session and access/fetch of sessions that are about the asking patient.
func (p *Portal) sessionQuery(w http.ResponseWriter, path string, arg []byte, s *session) error {
	var id tx.Hash
	var one access.BySession
	var fetch access.ByFetch
	switch path {
	case "access/session", "access/open":
		if tx.Decode(arg, &one) != nil {
			return errArgument
		}
		id = one.Session
	case "access/fetch":
		if tx.Decode(arg, &fetch) != nil {
			return errArgument
		}
		id = fetch.Session
	default:
		return errUnknown
	}
	if _, err := p.mine(context.Background(), id, s); err != nil {
		return err
	}
	out, err := p.Ledger.Ask(path, arg)
	if err != nil {
		return err
	}
	return cbor(w, out)
}

// proofTime is how long a receipt may wait for the block that carries its app hash.
const proofTime = 20 * time.Second

func (p *Portal) logReceipt(w http.ResponseWriter, r *http.Request, s *session) error {
	ctx, cancel := context.WithTimeout(r.Context(), proofTime)
	defer cancel()
	return sendReceipt(w)(p.Prover.Audit(ctx, s.account))
}

// entryReceipt proves an entry of the patient's own chain.
func (p *Portal) entryReceipt(w http.ResponseWriter, r *http.Request, s *session) error {
	index, err := strconv.ParseUint(r.PathValue("index"), 10, 64)
	if err != nil {
		return errArgument
	}
	raw, ok := p.Ledger.Entry(index)
	if !ok {
		return errUnknown
	}
	if _, rec, err := audit.Decode(raw); err != nil || rec.Patient != s.account {
		return errUnknown // and not whose it is
	}
	ctx, cancel := context.WithTimeout(r.Context(), proofTime)
	defer cancel()
	return sendReceipt(w)(p.Prover.Entry(ctx, index))
}

func sendReceipt(w http.ResponseWriter) func(*receipt.Receipt, error) error {
	return func(rc *receipt.Receipt, err error) error {
		if err != nil {
			return err
		}
		b, err := rc.Encode()
		if err != nil {
			return err
		}
		return cbor(w, b)
	}
}
