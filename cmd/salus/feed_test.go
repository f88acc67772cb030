package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"salus/hl7"
	"salus/hl7/mllp"
	"salus/internal/devnet"
)

// mllp ADDRESS FILE CODE sends a message, and wants that acknowledgement code.
func sendMLLP(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mllp address file code")
	}
	m, err := hl7.Parse(segments([]byte(ts.ReadFile(args[1]))))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", args[0])
	ts.Check(err)
	c := mllp.NewClient(conn, 1<<20)
	a, err := c.Send(ctx, m)
	ts.Check(err)
	ts.Check(c.Close())
	if got := a.Get("MSA-1").Plain(); got != args[2] {
		ts.Fatalf("got %s, want %s", got, args[2])
	}
}

// until PATTERN command args... runs a command again and again until it prints that.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until pattern command args...")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	end := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_ = ts.Exec(args[1], args[2:]...) // it may fail as long as the node is not there
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			ts.Fatalf("never printed %s", args[0])
		}
	}
}

// found VAR query sets an environment variable to the id of the one resource that a FHIR search
// with the operator's token of $SALUS_HOME finds.
func found(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: found VAR query")
	}
	api, err := devnet.API(ts.Getenv("SALUS_HOME"))
	ts.Check(err)
	var b struct {
		Entry []struct{ Resource struct{ ID string } }
	}
	ts.Check(api.JSON(context.Background(), "GET", "/fhir/"+args[1], nil, &b))
	if len(b.Entry) != 1 {
		ts.Fatalf("%s finds %d resources, want one", args[1], len(b.Entry))
	}
	ts.Setenv(args[0], b.Entry[0].Resource.ID)
}

// append FILE OTHER puts the bytes of a file behind another's, with the environment's variables filled in.
func appendFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: append file other")
	}
	path := ts.MkAbs(args[0])
	b, err := os.ReadFile(path)
	ts.Check(err)
	more := os.Expand(ts.ReadFile(args[1]), ts.Getenv)
	ts.Check(os.WriteFile(path, bytes.Join([][]byte{b, []byte(more)}, []byte("\n")), 0o600))
}

// port VAR n sets an environment variable to the nth port of the script's own block.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: port VAR n")
	}
	first, err := strconv.Atoi(ts.Getenv("PORT"))
	ts.Check(err)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(first+n))
}
