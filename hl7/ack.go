package hl7

import (
	"errors"
	"strings"
	"time"
)

// An AckCode is MSA-1, table 0008.
type AckCode string

// Original mode answers with AA, AE, AR; enhanced mode commits with CA, CE, CR.
// AE and CE may be sent again, AR and CR must not.
const (
	AA AckCode = "AA"
	AE AckCode = "AE"
	AR AckCode = "AR"
	CA AckCode = "CA"
	CE AckCode = "CE"
	CR AckCode = "CR"
)

// An Ack says how a message is answered.
type Ack struct {
	Code      AckCode
	ControlID string    // MSH-10 of the answer; at most 20 characters, the caller makes it unique
	Now       time.Time // MSH-7 of the answer
	Errors    []error   // *Error each; anything else is condition 207
}

// BuildAck answers m: MSH with sender and receiver exchanged and the delimiters,
// version, processing id and character set of m, MSA, and one ERR for each error,
// in the form of 2.5 or, for older versions, of ERR-1.
func BuildAck(m *Message, a Ack) *Message {
	d := m.delims
	if d.Component == 0 || d.Repetition == 0 || d.Escape == 0 || d.Subcomponent == 0 {
		d = Standard() // what the sender left undeclared cannot be written
	}
	msh, field, comp := m.Segment("MSH"), string(d.Field), string(d.Component)
	keep := func(n int) string {
		if d == m.delims {
			return string(msh.Field(n).raw)
		}
		return ""
	}
	_, event, _ := m.Type()
	kind := "ACK"
	if safe(event) {
		kind += comp + event
		if later(m.Version(), "2.3.1") {
			kind += comp + "ACK"
		}
	}
	enc := string([]byte{d.Component, d.Repetition, d.Escape, d.Subcomponent})
	if d.Truncation != 0 {
		enc += string(d.Truncation)
	}
	var b strings.Builder
	b.WriteString("MSH" + field + strings.Join([]string{
		enc, keep(5), keep(6), keep(3), keep(4),
		a.Now.Format(ackTime), "", kind, clean(a.ControlID, d), keep(11), keep(12), "", "", "", "", "", keep(18),
	}, field))
	var head strings.Builder
	head.WriteString(strings.TrimRight(b.String(), field) + "\r")
	id := keep(10)
	if id == "" {
		id = clean(m.ControlID(), d)
	}
	head.WriteString("MSA" + field + string(a.Code) + field + id + "\r")
	for _, err := range a.Errors {
		head.WriteString(errSegment(err, d, later(m.Version(), "2.4")))
	}
	out, err := parseOwned([]byte(head.String()), "MSH")
	if err != nil {
		// Not reachable: every part above is of a message that was accepted or is clean.
		out, _ = parseOwned([]byte("MSH|^~\\&|||||||ACK\rMSA|"+string(a.Code)+"|\r"), "MSH")
	}
	return out
}

// ackTime is the form of times that answers bear.
const ackTime = "20060102150405-0700"

func errSegment(err error, d Delimiters, structured bool) string {
	f, c := string(d.Field), string(d.Component)
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "hl7-application", Condition: ApplicationError}
	}
	// The segment is named by its place among all; ERL-2 counts those of its name,
	// which the error does not carry, so it stays empty.
	where := e.Segment
	if e.Field > 0 {
		where += c + c + itoa(e.Field)
	}
	cond := itoa(e.Condition) + c + ConditionText(e.Condition) + c + "HL70357"
	if !structured {
		sub := strings.ReplaceAll(cond, c, string(d.Subcomponent))
		pos := e.Segment + c + c
		if e.Field > 0 {
			pos += itoa(e.Field)
		}
		return "ERR" + f + pos + c + sub + "\r"
	}
	severity := "E"
	if e.Condition == Accepted {
		severity = "I"
	}
	return strings.TrimRight("ERR"+f+f+where+f+cond+f+severity+f+clean(e.Code, d), f) + "\r"
}

func clean(s string, d Delimiters) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(string([]byte{d.Field, d.Component, d.Repetition, d.Escape, d.Subcomponent}), r) {
			return -1
		}
		return r
	}, s)
}

func safe(s string) bool {
	for i := range len(s) {
		if !letterOrDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// later says whether version is after base, both such as "2.5.1".
func later(version, base string) bool { return version > base && strings.HasPrefix(version, "2.") }

// Accepts says what MSH-11 a receiver takes.
type Accepts struct{ Processing string } // characters of P, T, D; "": any

// Check finds what a receiver must refuse before it reads the body: MSH-9, MSH-10,
// MSH-11, MSH-12 and the code and event. The errors are *Error, each with the
// condition of table 0357; AR is the answer.
func (a Accepts) Check(m *Message) []error {
	var errs []error
	bad := func(code string, field, condition int) {
		errs = append(errs, fail(code, "MSH", 1, field, condition))
	}
	code, event, structure := m.Type()
	if known, events := supported(code); !known {
		bad(CodeType, 9, UnsupportedMessage)
	} else if event == "" && structure == "" && code != "ORU" || event != "" && !strings.Contains(events, " "+event+" ") {
		bad(CodeEvent, 9, UnsupportedEvent)
	}
	if !m.Segment("MSH").Field(10).Valued() {
		bad(CodeRequired, 10, RequiredMissing)
	}
	p := m.Segment("MSH").Field(11).Component(1).Plain()
	if a.Processing != "" && (p == "" || !strings.Contains(a.Processing, p)) {
		bad(CodeProcessing, 11, UnsupportedProcess)
	}
	switch v := m.Version(); v {
	case "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8":
	default:
		bad(CodeVersion, 12, UnsupportedVersion)
	}
	if !m.CharsetKnown() {
		bad(CodeCharset, 18, TableValue)
	}
	return errs
}

func supported(code string) (bool, string) {
	switch code {
	case "ADT":
		return true, " A01 A02 A03 A04 A05 A06 A07 A08 A11 A12 A13 A14 A28 A31 A37 A38 A40 "
	case "ORU":
		return true, " R01 "
	case "ORM":
		return true, " O01 "
	case "OML":
		return true, " O21 "
	case "MDM":
		return true, " T01 T02 T04 T06 T08 T10 T11 "
	case "VXU":
		return true, " V04 "
	case "SIU":
		return true, " S12 S13 S14 S15 S16 S17 S26 "
	case "DFT":
		return true, " P03 "
	}
	return false, ""
}
