// Command salus is the one binary of the network: an organisation's node, its
// operator's tools, a patient's wallet and the offline verifier.
//
// Contract: one file per noun; tables for people or -o json for programs; after an
// error a hint what to do; exit code 1 for a refusal or failure, 2 for wrong usage, 3
// when the node cannot be reached, 4 when this program is too old for the next block. It must never print what a record says unless it
// was asked for that record.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"salus/client"
	"salus/config"
	"salus/internal/devnet"
	"salus/ledger"
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
	Recovery recoveryCmd `cmd:"" help:"Lost keys: guardians, re-proofing, the time lock."`
	Lookup   lookupCmd   `cmd:"" help:"Find a patient by identifiers; her emergency card."`
	Merge    mergeCmd    `cmd:"" help:"Say that two pseudonyms are one patient, and take it back."`
	Record   recordCmd   `cmd:"" help:"Import and read this organisation's records."`
	Consent  consentCmd  `cmd:"" help:"Grant, list and revoke, with the patient's wallet."`
	Access   accessCmd   `cmd:"" help:"Read other organisations' records through the ledger."`
	Audit    auditCmd    `cmd:"" help:"Who looked: the patient's access log and its proof."`
	Custody  custodyCmd  `cmd:"" help:"This organisation's custodian."`
	Vault    vaultCmd    `cmd:"" help:"This organisation's store of ciphertext."`
	Verify   verifyCmd   `cmd:"" help:"Check a receipt offline, with nothing but the genesis file."`
	Tx       txCmd       `cmd:"" help:"Explain a transaction."`

	Feed       feedCmd       `cmd:"" help:"HL7 v2 feeds: list, dead letters, replay, send, what is left out."`
	Intake     intakeCmd     `cmd:"" help:"Take documents and tables in: C-CDA, CSV."`
	App        appCmd        `cmd:"" help:"Apps on the FHIR server: register, list, remove; sign-in codes."`
	Committee  committeeCmd  `cmd:"" help:"The custodians: who holds shares, and dealing them again."`
	Erasure    erasureCmd    `cmd:"" help:"Records that cease to be: request, order, hold, certificate, probe."`
	Member     memberCmd     `cmd:"" help:"This organisation's own address and keys on the ledger."`
	Governance governanceCmd `cmd:"" help:"What the members decide by vote: members, validators, parameters."`
}

// Exit codes.
const (
	exitRefused     = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitOutdated    = 4 // the members agreed on rules that this program does not know
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments; it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second Ctrl-C ends a stop that takes too long
	var c cli
	exited := -1
	p, err := kong.New(&c, kong.Name("salus"), kong.Description("A health-record network that care organisations run together."),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		panic("salus: internal error: " + err.Error()) // a mistake in the struct above, found by the first test
	}
	if len(args) == 0 { // somebody's first try: show what there is
		p.Stdout = stderr
		_, _ = p.Parse([]string{"--help"})
		return exitUsage
	}
	k, err := p.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "salus: %v\nhint: `%s --help` shows what there is\n", err, helpFor(err))
		return exitUsage
	}
	e := &env{ctx: ctx, home: c.Home, json: c.Output == "json", in: stdin, out: stdout, err: stderr}
	if err := k.Run(e); err != nil {
		return e.explain(err)
	}
	return 0
}

// helpFor names the command whose help answers a usage error.
func helpFor(err error) string {
	var name strings.Builder
	name.WriteString("salus")
	var perr *kong.ParseError
	if errors.As(err, &perr) && perr.Context != nil {
		for _, step := range perr.Context.Path {
			if step.Command != nil {
				name.WriteString(" " + step.Command.Name)
			}
		}
	}
	return name.String()
}

// usageError is wrong usage that only shows after parsing.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// explain prints an error with a hint and returns its exit code.
func (e *env) explain(err error) int {
	var refusal *tx.Refusal
	var outdated *ledger.OutdatedError
	var problem *client.Problem
	var usage usageError
	code, hint := exitRefused, ""
	switch {
	case errors.As(err, &usage):
		code = exitUsage
	case errors.Is(err, client.ErrUnreachable):
		code, hint = exitUnreachable, "is the node running? start it with `salus node start` or `make run`"
	case errors.Is(err, config.ErrNoHome):
		code, hint = exitUsage, "name the node's home with --home or SALUS_HOME; `salus devnet init` writes four"
	case errors.Is(err, devnet.ErrNoNetwork):
		code, hint = exitUsage, "write one with `salus devnet init`"
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another process listens there; stop it, or change the address in the home's config.toml"
	case errors.Is(err, client.ErrNoQuorum):
		fmt.Fprintf(e.err, "salus: not possible now (%#04x): %v\n", client.ErrNoQuorum.Code, err)
		return e.hint(exitUnreachable, "`salus node status` tells since when; try again when it says `ready yes`")
	case errors.Is(err, client.ErrUnsettled):
		fmt.Fprintf(e.err, "salus: not known (%s): %v\n", client.CodeUnsettled, err)
		return e.hint(exitUnreachable, "`salus node status` shows when the ledger goes on; then look whether it was done before doing it again")
	case errors.As(err, &outdated):
		code, hint = exitOutdated, "install the release and start it on the same home; `salus node upgrade-info` shows what was agreed"
	case errors.As(err, &refusal):
		fmt.Fprintf(e.err, "salus: refused (%#04x): %s\nhint: every code is explained in spec/codes.md and spec/codes-node.md\n", refusal.Code, refusal.Text)
		return exitRefused
	case errors.As(err, &problem):
		fmt.Fprintf(e.err, "salus: refused (%s): %v\n", problem.Code, err)
		if problem.Status == http.StatusServiceUnavailable {
			code, hint = exitUnreachable, "`salus node status` shows this node's view of the network"
		} else {
			hint = hints[problem.Code]
		}
		return e.hint(code, hint)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(e.err, "salus: interrupted")
		return exitRefused
	}
	fmt.Fprintf(e.err, "salus: %v\n", err)
	return e.hint(code, hint)
}

// hints are what to do about a gateway's problem, by its code.
var hints = map[string]string{
	"fhir-trailing": "name a file of one resource a line .ndjson",
	"feed":          "`salus feed list` shows the feeds of this node",
	"feed-message":  "`salus feed dead` lists a feed's dead letters",
	"patient":       "`salus identity list` shows the patients of this organisation; `salus identity adopt` makes another's known",
	"session":       "open one with `salus access open`",
	"token":         "the home's api.token is not the one the node started with",
}

func (e *env) hint(code int, hint string) int {
	if hint != "" {
		fmt.Fprintln(e.err, "hint: "+hint)
	}
	return code
}
