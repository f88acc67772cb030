// Package mistake keeps a mistake in a program to what brought it out.
//
// A function of values alone that panics over one of them would end the node, and again at each start if the value
// is kept and tried again: one message of a sender could take away a member. Whoever calls such a function refuses
// that value instead, and the log says where the mistake is.
//
// Contract: At names functions and lines, and never a value: a panic may quote what it choked on. Must never be put
// around what changes something, as half of the change could stay, nor around the state machine, which has to halt.
package mistake

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
)

// Keep returns what f returns; if f panics with an error of the runtime (a nil map, an index), as mistakes do, it logs
// program_mistake with in, which names the function, and the place, and returns instead. Other panics are somebody's
// decision to halt, and go on.
func Keep[T any](ctx context.Context, log *slog.Logger, in string, instead error, f func() (T, error)) (v T, err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if _, ok := p.(runtime.Error); !ok {
			panic(p)
		}
		log.ErrorContext(ctx, "program_mistake", "in", in, "type", fmt.Sprintf("%T", p), "at", At())
		var none T
		v, err = none, instead
	}()
	return f()
}

// At names the functions and lines that led to a panic, innermost first, without their arguments. It is to be called
// by the deferred function that recovers from it.
func At() []string {
	pcs := make([]uintptr, 16)
	walk := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)]) // past the deferred function and the panic itself
	var out []string
	for {
		f, more := walk.Next()
		out = append(out, fmt.Sprintf("%s:%d", f.Function, f.Line))
		if !more {
			return out
		}
	}
}
