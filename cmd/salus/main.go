// Command salus is the one binary of the network: an organisation's node, its
// operator's tools, a patient's wallet and the offline verifier.
//
// Contract: one file per noun; tables for people or -o json for programs; after an
// error a hint what to do; exit code 1 for a refusal or failure, 2 for wrong usage, 3
// when the node cannot be reached. It must never print what a record says unless it
// was asked for that record.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"salus/client"
	"salus/config"
	"salus/internal/devnet"
	"salus/ledger/tx"
)

// cli is every command, a noun each.
type cli struct {
	Home   string `help:"Home of the organisation's node." env:"SALUS_HOME" default:".salus/hospital" type:"path"`
	Output string `short:"o" help:"Output form: table or json." enum:"table,json" default:"table"`

	Devnet   devnetCmd   `cmd:"" help:"Run four organisations on this machine."`
	Node     nodeCmd     `cmd:"" help:"Run and look after this organisation's node."`
	Key      keyCmd      `cmd:"" help:"Show this organisation's public keys."`
	Identity identityCmd `cmd:"" help:"Staff, devices, patients and their wallets."`
	Record   recordCmd   `cmd:"" help:"Import and read this organisation's records."`
	Consent  consentCmd  `cmd:"" help:"Grant, list and revoke, with the patient's wallet."`
	Access   accessCmd   `cmd:"" help:"Read other organisations' records through the ledger."`
	Audit    auditCmd    `cmd:"" help:"Who looked: the patient's access log and its proof."`
	Custody  custodyCmd  `cmd:"" help:"This organisation's custodian."`
	Vault    vaultCmd    `cmd:"" help:"This organisation's store of ciphertext."`
	Verify   verifyCmd   `cmd:"" help:"Check a receipt offline, with nothing but the genesis file."`
	Tx       txCmd       `cmd:"" help:"Explain a transaction."`
}

// Exit codes.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	exited := -1
	p, err := kong.New(&c, kong.Name("salus"), kong.Description("A health-record network that care organisations run together."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		panic("salus: internal error: " + err.Error()) // a mistake in the struct above, found by the first test
	}
	k, err := p.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "salus: %v\n", err)
		return exitUsage
	}
	e := &env{ctx: ctx, home: c.Home, json: c.Output == "json", in: stdin, out: stdout, err: stderr}
	if err := k.Run(e); err != nil {
		return e.explain(err)
	}
	return 0
}

// usageError is wrong usage that only shows after parsing.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// explain prints an error with a hint and returns its exit code.
func (e *env) explain(err error) int {
	var refusal *tx.Refusal
	var problem *client.Problem
	var usage usageError
	code, hint := exitRefused, ""
	switch {
	case errors.Is(err, context.Canceled):
		return exitRefused
	case errors.As(err, &usage):
		code = exitUsage
	case errors.Is(err, client.ErrUnreachable):
		code, hint = exitUnreachable, "is the node running? start it with `salus node start` or `make run`"
	case errors.Is(err, config.ErrNoHome):
		code, hint = exitUsage, "name the node's home with --home or SALUS_HOME; `salus devnet init` writes four"
	case errors.Is(err, devnet.ErrNoNetwork):
		code, hint = exitUsage, "write one with `salus devnet init`"
	case errors.As(err, &refusal):
		fmt.Fprintf(e.err, "salus: refused (%#04x): %s\n", refusal.Code, refusal.Text)
		fmt.Fprintln(e.err, "hint: every code is explained in spec/codes.md")
		return exitRefused
	case errors.As(err, &problem):
		if problem.Status == 503 {
			code, hint = exitUnreachable, "too few members can be reached; `salus node status` shows this node's view"
		}
	}
	fmt.Fprintf(e.err, "salus: %v\n", err)
	if hint != "" {
		fmt.Fprintln(e.err, "hint: "+hint)
	}
	return code
}
