package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"salus/client"
	"salus/config"
	"salus/internal/devnet"
	"salus/ledger/tx"
	"salus/record"
)

// env is what every command runs in.
type env struct {
	ctx      context.Context //nolint:containedctx // the command's own: kong hands nothing else to Run
	home     string
	json     bool
	in       io.Reader
	out, err io.Writer
}

// api connects to the node of the home.
func (e *env) api() (*client.API, error) { return devnet.API(e.home) }

func (e *env) config() (*config.Config, error) { return config.Load(e.home) }

// say prints a line for people; with -o json it prints nothing.
func (e *env) say(format string, a ...any) {
	if !e.json {
		fmt.Fprintf(e.out, format+"\n", a...)
	}
}

// show prints v as JSON, or the table that rows makes.
func (e *env) show(v any, header string, rows func(add func(cells ...any))) error {
	if e.json {
		enc := json.NewEncoder(e.out)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	if header != "" {
		fmt.Fprintln(w, strings.ReplaceAll(header, " ", "\t"))
	}
	rows(func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, c)
		}
		fmt.Fprintln(w)
	})
	return w.Flush()
}

func (e *env) logger(level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: l}))
}

// wallet loads a wallet and a submitter that signs with it through the node of the home.
func (e *env) wallet(path string) (*record.Wallet, *client.API, *client.Submitter, error) {
	w, err := record.LoadWallet(path)
	if err != nil {
		return nil, nil, nil, err
	}
	api, err := e.api()
	if err != nil {
		return nil, nil, nil, err
	}
	return w, api, client.New(api, w.Chain).As(w.Signer()), nil
}

// account parses a pseudonym or another account given on the command line.
func account(s string) (tx.Account, error) {
	a, err := tx.ParseAccount(s)
	if err != nil {
		return a, usageError{"an account is 26 letters and digits, as `salus identity list` prints them"}
	}
	return a, nil
}

func when(unix uint64) string {
	if unix == 0 {
		return "-"
	}
	return time.Unix(int64(unix), 0).Format("2006-01-02 15:04:05")
}

func short(h fmt.Stringer) string {
	s := h.String()
	if len(s) > 12 {
		return s[:12]
	}
	return s
}
