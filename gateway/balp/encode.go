package balp

import (
	"encoding/json"
	"strconv"
)

// appendJSON writes an event as encoding/json does, byte for byte: every answer waits for it, and that
// takes several times as long. What few events have is left to encoding/json.
func appendJSON(b []byte, e *Event) ([]byte, error) {
	b = append(b, `{"kind":`...)
	b = appendText(b, string(e.Kind))
	b = append(b, `,"time":"`...)
	b, err := e.Time.AppendText(b)
	if err != nil {
		return nil, err
	}
	b = append(b, `","outcome":`...)
	b = appendText(b, string(e.Outcome))
	b = appendSome(b, "reason", e.Reason)
	b = appendWho(b, "user", &e.User)
	b = appendWho(b, "organization", &e.Organization)
	b = appendWho(b, "client", &e.Client)
	b = appendWho(b, "server", &e.Server)
	b = appendWho(b, "recipient", &e.Recipient)
	b = appendSome(b, "token", e.Token)
	if e.Purposes != 0 {
		if !e.Purposes.Known() {
			return nil, ErrEvent
		}
		b = append(b, `,"purposes":`...)
		for i, p := range e.Purposes.List() {
			b = appendText(append(b, "[,"[min(i, 1)]), p.String())
		}
		b = append(b, ']')
	}
	b = appendWho(b, "patient", &e.Patient)
	if len(e.Resources) > 0 {
		b = append(b, `,"resources":`...)
		for i, s := range e.Resources {
			b = appendText(append(b, "[,"[min(i, 1)]), s)
		}
		b = append(b, ']')
	}
	b = appendSome(b, "query", e.Query)
	b = appendSome(b, "request", e.Request)
	if len(e.Consents) > 0 {
		b = appendValue(b, "consents", e.Consents)
	}
	if !e.Session.IsZero() {
		b = appendSome(b, "session", e.Session.String())
	}
	if len(e.Grants) > 0 {
		b = appendValue(b, "grants", e.Grants)
	}
	if !e.List.IsZero() {
		b = appendSome(b, "list", e.List.String())
	}
	if e.Count != 0 {
		b = append(b, `,"count":`...)
		b = strconv.AppendUint(b, uint64(e.Count), 10)
	}
	if e.Ledger != nil {
		b = appendValue(b, "ledger", e.Ledger)
	}
	b = appendSome(b, "what", e.What)
	b = appendSome(b, "basis", string(e.Basis))
	b = appendSome(b, "study", e.Study)
	b = appendSome(b, "on", e.On)
	return append(b, '}'), nil
}

func appendWho(b []byte, name string, w *Who) []byte {
	if *w == (Who{}) {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	from := len(b)
	b = appendSome(b, "reference", w.Reference)
	b = appendSome(b, "system", w.System)
	b = appendSome(b, "value", w.Value)
	b = appendSome(b, "display", w.Display)
	b = appendSome(b, "address", w.Address)
	b[from] = '{' // for the comma before the first
	return append(b, '}')
}

// appendSome writes a member if it has a value.
func appendSome(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	return appendText(b, s)
}

// appendText writes a string; one with more than plain characters as encoding/json has it.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			q, _ := json.Marshal(s) // a string always has one
			return append(b, q...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}

// appendValue writes what is of strings and numbers alone, and so always has a form.
func appendValue(b []byte, name string, v any) []byte {
	q, _ := json.Marshal(v)
	b = append(append(append(b, `,"`...), name...), `":`...)
	return append(b, q...)
}
