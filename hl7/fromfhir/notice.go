package fromfhir

import (
	"bytes"
	"errors"
	"slices"
	"strings"
)

// ErrNotice: the message has no place for a notice that has to go with it.
var ErrNotice = errors.New("fromfhir: the message has no place for a notice that has to go with it")

// noticed are the segments that an NTE about the whole of a message may follow, the first of them that the message
// has, and those that stand between (HL7 v2.5.1, chapters 4, 7, 9 and 10). ADT, DFT and VXU have no NTE there, and
// MDM^T11 has no content that one could follow.
var noticed = map[string][]string{
	"ORU^R01": {"PID", "PD1"}, "OML^O21": {"PID", "PD1"}, "ORM^O01": {"PID", "PD1"}, "MDM^T02": {"OBX"}, "SIU": {"SCH", "TQ1"},
}

// Notable says whether a message of an event ("ORU^R01") has a place for a notice.
func Notable(event string) bool { return noticed[placeOf(event)] != nil }

// placeOf is the key of noticed: the event, or its code where all events of that are alike.
func placeOf(event string) string {
	if code, _, _ := strings.Cut(event, "^"); noticed[code] != nil {
		return code
	}
	return event
}

// Noted puts notices into a message that Map made of an event, an NTE each: 42 CFR 2.32 wants one with records of
// substance use treatment. Error: ErrNotice.
func Noted(event string, message []byte, notices []string) ([]byte, error) {
	if len(notices) == 0 {
		return message, nil
	}
	after := noticed[placeOf(event)]
	if after == nil {
		return nil, ErrNotice
	}
	lines := bytes.SplitAfter(message, []byte("\r"))
	name := func(i int) string {
		n, _, _ := bytes.Cut(lines[i], []byte("|"))
		return string(n)
	}
	at := 0
	for at < len(lines) && name(at) != after[0] {
		at++
	}
	if at == len(lines) {
		return nil, ErrNotice
	}
	for at++; slices.Contains(after[1:], name(at)); { // the last line is empty
		at++
	}
	n := 0
	for ; name(at) == "NTE"; at++ {
		n++
	}
	var b []byte
	for i, text := range notices {
		b = append(b, "NTE|"+itoa(n+i+1)+"||"+escape(text)+"\r"...)
	}
	return bytes.Join(slices.Insert(lines, at, b), nil), nil
}
