package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// An action is what somebody asks for. Of looking, id is the session and rec the record.
type action struct {
	kind string // grant, revoke, close, open, write, look
	id   string
	rec  string
	who  string
	uses int
}

// What an action came to.
const (
	yes     = "yes"
	no      = "no"
	unknown = "unknown"
)

type operation struct {
	patient   string
	in        action
	out       string
	call, ret int64
}

// A history is what clients asked and were told, in the order in which it happened.
type history struct {
	ops   []*operation
	stamp int64
}

func (h *history) now() int64 { h.stamp++; return h.stamp }

func (h *history) call(patient string, a action) *operation {
	op := &operation{patient: patient, in: a, call: h.now()}
	h.ops = append(h.ops, op)
	return op
}

// answer ends an operation. from is when the first member committed what it asked for: it can
// have had no effect before, which leaves less to the search.
func (h *history) answer(op *operation, from int64, out string) {
	op.call, op.out, op.ret = max(op.call, from), out, h.now()
}

// drop forgets an operation that can never have happened.
func (h *history) drop(op *operation) {
	h.ops = slices.DeleteFunc(h.ops, func(o *operation) bool { return o == op })
}

// A belief is the state of the sequential model for one record: is it written, which grants
// stand, which sessions were opened and what they took. It is text, sorted, so that equal
// states are equal.
type belief struct {
	written  bool
	grants   string // "id who left;", left -1 without a limit
	sessions string // "id who taken;", taken - for none, x for closed or nothing granted
}

type line struct {
	id, who, more string
}

func lines(s string) (out []line) {
	for part := range strings.SplitSeq(s, ";") {
		if f := strings.Fields(part); len(f) == 3 {
			out = append(out, line{f[0], f[1], f[2]})
		}
	}
	return out
}

func text(ls []line) string {
	sort.Slice(ls, func(i, j int) bool { return ls[i].id < ls[j].id })
	var b strings.Builder
	for _, l := range ls {
		fmt.Fprintf(&b, "%s %s %s;", l.id, l.who, l.more)
	}
	return b.String()
}

func find(ls []line, id string) int {
	return slices.IndexFunc(ls, func(l line) bool { return l.id == id })
}

// step is the sequential meaning of every action.
func (b belief) step(a action, out string) (bool, belief) {
	switch a.kind {
	case "write":
		b.written = true
	case "grant":
		left := "-1"
		if a.uses > 0 {
			left = fmt.Sprint(a.uses)
		}
		b.grants = text(append(lines(b.grants), line{a.id, a.who, left}))
	case "revoke":
		ls := lines(b.grants)
		i := find(ls, a.id)
		if i < 0 {
			return false, b
		}
		b.grants = text(slices.Delete(ls, i, i+1))
	case "open":
		return b.open(a, out)
	case "close":
		ls := lines(b.sessions)
		if i := find(ls, a.id); i >= 0 {
			ls[i].more = "x"
		}
		b.sessions = text(ls)
	case "look":
		return out == unknown || (out == yes) == b.visible(a), b
	}
	return true, b
}

// open takes a use of a limited grant if nothing else allows the session.
func (b belief) open(a action, out string) (bool, belief) {
	gs := lines(b.grants)
	taken := "x"
	for _, g := range gs {
		if g.who == a.who && g.more == "-1" {
			taken = "-"
		}
	}
	for i, g := range gs {
		if taken == "x" && g.who == a.who && g.more != "0" {
			var left int
			if _, err := fmt.Sscan(g.more, &left); err != nil {
				return false, b
			}
			taken, gs[i].more = g.id, fmt.Sprint(left-1)
		}
	}
	b.grants = text(gs)
	b.sessions = text(append(lines(b.sessions), line{a.id, a.who, taken}))
	return out == unknown || (taken != "x") == (out == yes), b
}

// visible says whether the session may open the record.
func (b belief) visible(a action) bool {
	ss := lines(b.sessions)
	i := find(ss, a.id)
	if i < 0 || ss[i].more == "x" || !b.written {
		return false
	}
	return slices.ContainsFunc(lines(b.grants), func(g line) bool {
		return g.who == ss[i].who && (g.more == "-1" || g.id == ss[i].more)
	})
}

var sequential = porcupine.Model{
	Init: func() any { return belief{} },
	Step: func(state, in, out any) (bool, any) { return state.(belief).step(in.(action), out.(string)) },
	DescribeOperation: func(in, out any) string {
		a := in.(action)
		return fmt.Sprintf("%s %.6s %s -> %s", a.kind, a.id, a.who, out)
	},
}

// check reports whether what clients were told could have been one thing after another, for
// each record and each reader by themselves: a reading of several records is several readings,
// and what one reader may see does not depend on another.
func (h *history) check(w *world) {
	for _, info := range w.clients.order {
		for i := range info.records {
			for _, reader := range w.clients.readers {
				h.checkOne(w, info.patient, info.name(i), reader)
			}
		}
	}
}

func (h *history) checkOne(w *world, patient, rec, reader string) {
	var ops []porcupine.Operation
	for _, o := range h.ops {
		if o.patient != patient || o.in.rec != "" && o.in.rec != rec || o.in.who != "" && o.in.who != reader {
			continue
		}
		ret, out := o.ret, o.out
		if o.in.kind == "look" && (out == "" || out == unknown) {
			continue // it changes nothing and claims nothing
		}
		if out == "" { // never answered: it may happen at any time, or after all others
			ret, out = h.stamp+1, unknown
		}
		ops = append(ops, porcupine.Operation{Input: o.in, Output: out, Call: o.call, Return: ret})
	}
	all := slices.Clone(ops)
	ops = slices.DeleteFunc(ops, func(a porcupine.Operation) bool { return implied(a, all) })
	w.saw("histories checked")
	switch porcupine.CheckOperationsTimeout(sequential, ops, 5*time.Second) {
	case porcupine.Illegal:
		w.fail("what clients saw of a record is not linearizable: %s", describe(ops))
	case porcupine.Unknown:
		w.saw("histories too long to check")
	}
}

// implied reports whether another look of the same session came to the same within the time
// of this one: wherever that one fits, this one does.
func implied(a porcupine.Operation, ops []porcupine.Operation) bool {
	in := a.Input.(action)
	return in.kind == "look" && slices.ContainsFunc(ops, func(b porcupine.Operation) bool {
		return b.Input.(action) == in && a.Output == b.Output && a.Call <= b.Call && b.Return < a.Return
	})
}

func describe(ops []porcupine.Operation) string {
	var b strings.Builder
	for _, o := range ops {
		fmt.Fprintf(&b, "\n  [%d,%d] %s", o.Call, o.Return, sequential.DescribeOperation(o.Input, o.Output))
	}
	return b.String()
}
