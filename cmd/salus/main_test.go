package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// TestMain lets the test binary be the salus command as well: scripts run the real main in
// a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"salus": func() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts tells the stories of testdata/script, and then those of testdata/alone. They share
// one running network, $NET; a story that needs another makes its own at $PORT.
func TestScripts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	n := startNetwork(t, dir)
	params := testscript.Params{
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			port, err := freePorts()
			if err != nil {
				return err
			}
			e.Setenv("NET", dir)
			e.Setenv("PORT", strconv.Itoa(port))
			for _, org := range n.Orgs() {
				e.Setenv(strings.ToUpper(org), devnet.Home(dir, org))
			}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "short":
				return testing.Short(), nil
			case "root": // reads what nobody may
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "sample": sampleFile, "get": get, "json": isJSON, "fill": fill, "flip": flip, "transaction": transaction,
			"mllp": sendMLLP, "until": until, "found": found, "append": appendFile, "port": port,
		},
	}
	params.Dir = filepath.Join("testdata", "script")
	t.Run("together", func(t *testing.T) { testscript.Run(t, params) })
	params.Dir = filepath.Join("testdata", "alone") // these stop members of the shared network
	t.Run("alone", func(t *testing.T) { testscript.Run(t, params) })
	params.Dir = filepath.Join("testdata", "restored") // these replace a member's folder
	params.Cmds["member"] = func(ts *testscript.TestScript, neg bool, args []string) {
		ts.Check(changeMember(ts, n, dir, neg, args))
	}
	t.Run("restored", func(t *testing.T) { testscript.Run(t, params) })
	if err := n.StopAll(); err != nil {
		t.Error(err)
	}
	// Whatever the stories did, no store is damaged.
	for _, org := range n.Orgs() {
		var out, errs bytes.Buffer
		if code := run([]string{"--home", devnet.Home(dir, org), "node", "fsck"}, nil, &out, &errs); code != 0 {
			t.Errorf("fsck of %s after the stories: exit %d\n%s%s", org, code, &out, &errs)
		}
	}
}

// startNetwork starts four organisations with their staff in this process.
func startNetwork(t *testing.T, dir string) *devnet.Network {
	t.Helper()
	port, err := freePorts()
	if err != nil {
		t.Fatal(err)
	}
	seconds, lookups := uint64(3), uint64(3) // nobody waits here for days
	if _, err := devnet.Init(dir, devnet.Options{Port: port, Params: governance.Changes{RecoveryDelay: &seconds, ExecutorDelay: &seconds, LookupQuota: &lookups}}); err != nil {
		t.Fatal(err)
	}
	n, err := devnet.Open(dir, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.StartAll(t.Context()); err != nil {
		t.Fatal(errors.Join(err, n.StopAll()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	control := make(chan error, 1)
	go func() { control <- n.Control(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-control; err != nil {
			t.Error(err)
		}
	})
	e := &env{ctx: t.Context(), json: true, out: t.Output(), err: t.Output()}
	if err := bootstrap(t.Context(), e, dir, 0); err != nil {
		t.Fatal(errors.Join(err, n.StopAll()))
	}
	return n
}

// changeMember is: member stop ORG, member start ORG, member copy ORG NAME, which keeps a copy of what a stopped member has
// under the script's folder, and member restore ORG NAME, which puts the copy in its place.
func changeMember(ts *testscript.TestScript, n *devnet.Network, dir string, neg bool, args []string) error {
	if neg || len(args) < 2 {
		return errors.New("usage: member stop|start|copy|restore org [name]")
	}
	ctx, org := context.Background(), args[1]
	data := filepath.Join(devnet.Home(dir, org), "data")
	switch args[0] {
	case "stop":
		return n.Stop(org)
	case "start":
		return errors.Join(n.Start(ctx, org), n.Ready(ctx, org))
	case "copy":
		return os.CopyFS(ts.MkAbs(args[2]), os.DirFS(data))
	case "restore":
		return errors.Join(os.RemoveAll(data), os.CopyFS(data, os.DirFS(ts.MkAbs(args[2]))))
	}
	return fmt.Errorf("member: no %q", args[0])
}

// blocks hands out the blocks of forty ports that a network needs; each is tried before it is used.
var blocks atomic.Int64

func freePorts() (int, error) {
	const size, first, last = 40, 20000, 24000 // below the ports that the kernel hands out
	start := os.Getpid() * size
	for range (last - first) / size {
		port := first + (start+int(blocks.Add(1))*size)%(last-first)
		if free(port, size) {
			return port, nil
		}
	}
	return 0, errors.New("no free block of ports")
}

func free(port, size int) bool {
	for i := range size {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
		if err != nil {
			return false
		}
		if ln.Close() != nil {
			return false
		}
	}
	return true
}

// exits CODE command args... runs a command that must exit with that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command args...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("got exit code %d, want %d", got, want)
	}
}

// sample FILE seed count writes a synthetic patient as a bundle, or as NDJSON by the file's name.
func sampleFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: sample file seed count")
	}
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	b := sample.Bundle(seed, n)
	if strings.HasSuffix(args[0], ".ndjson") {
		b = sample.NDJSON(seed, n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// get VAR path sets an environment variable from the JSON that the last command printed.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get VAR path.of.the.value")
	}
	var v any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &v); err != nil {
		ts.Fatalf("stdout is not JSON: %v", err)
	}
	for step := range strings.SplitSeq(args[1], ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s: no element %q", args[1], step)
			}
			v = x[i]
		default:
			ts.Fatalf("%s: nothing below %q", args[1], step)
		}
	}
	if v == nil {
		ts.Fatalf("%s: not there", args[1])
	}
	ts.Setenv(args[0], fmt.Sprint(v))
}

// json checks that the last command printed one JSON value and nothing else.
func isJSON(ts *testscript.TestScript, _ bool, _ []string) {
	if out := ts.ReadFile("stdout"); !json.Valid([]byte(out)) {
		ts.Fatalf("stdout is not JSON:\n%s", out)
	}
}

// fill FILE before count text after writes before, count times text, after.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: fill file before count text after")
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(args[1]+strings.Repeat(args[3], n)+args[4]), 0o600))
}

// flip PATH changes one bit in the middle of a file, or of the largest file below a folder.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip path")
	}
	file, size := "", int64(0)
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			file, size = path, info.Size()
		}
		return err
	}))
	if file == "" {
		ts.Fatalf("%s holds no bytes", args[0])
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	ts.Check(err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, size/2)
	ts.Check(err)
	b[0] ^= 0x10
	_, err = f.WriteAt(b, size/2)
	ts.Check(err)
	ts.Check(f.Close())
	ts.Logf("flipped bit at %d of %d bytes of %s", size/2, size, file)
}

// transaction FILE [chain] writes a well-formed signed transaction; with "swapped" its two outer
// elements are in the other order, which is the same to a lax decoder.
func transaction(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: transaction file [swapped]")
	}
	raw, err := sampleTransaction()
	ts.Check(err)
	if len(args) > 1 {
		// A map of two pairs, a2 01 ... 02 ...: the keys the other way round.
		var e tx.Envelope
		ts.Check(tx.Decode(raw, &e))
		body, err := tx.Encode(e.Body)
		ts.Check(err)
		sigs, err := tx.Encode(e.Signatures)
		ts.Check(err)
		raw = bytes.Join([][]byte{{0xa2, 0x02}, sigs, {0x01}, body}, nil)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), raw, 0o600))
}
