package node

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"salus/hl7"
	"salus/hl7/feed"
	"salus/hl7/tofhir"
)

// A message that the map fails over would end the node at each start anew, as it is kept until it is written.
func TestAMessageThatTheMapFailsOverIsADeadLetter(t *testing.T) {
	m, err := hl7.Parse([]byte("MSH|^~\\&|DEMO|CLINIC|SALUS|NODE|20260102030405+0000||ADT^A01|M1|P|2.5.1\rPID|1||SYN-1^^^CLINIC^MR||Example^Ann\r"))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := &feedWriter{log: slog.New(slog.NewTextHandler(&log, nil)), told: map[uint64]*told{}, toFHIR: func(m *hl7.Message, _ tofhir.Options) (*tofhir.Result, error) {
		return put(nil, m.Segment("PID").Field(5).Plain()), nil
	}}
	err = w.apply(t.Context(), feed.Message{Number: 7, Parsed: m})
	var r *feed.Rejection
	if !errors.As(err, &r) || r.Code != "feed-map" {
		t.Errorf("got %v", err)
	}
	if s := log.String(); !strings.Contains(s, "program_mistake") || !strings.Contains(s, "feedmap_test.go") && !strings.Contains(s, "TestAMessageThatTheMapFailsOver") || strings.Contains(s, "Example") {
		t.Errorf("the log says %s", s)
	}
}

func put(m map[string]*tofhir.Result, s string) *tofhir.Result {
	m[s] = &tofhir.Result{}
	return m[s]
}
