package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/gateway/intake"
	"salus/ledger/tx"
	"salus/record"
)

type recordCmd struct {
	Import recordImport `cmd:"" help:"Import FHIR R4 bundles (.json) or NDJSON (.ndjson)."`
	List   recordList   `cmd:"" help:"List what this organisation wrote about a patient."`
	Get    recordGet    `cmd:"" help:"Print the exact bytes of one record of this organisation."`
}

type recordImport struct {
	Files []string `arg:"" help:"Files, or - for a bundle on standard input." `
	Wait  string   `help:"Wait until the records are stored here, or active on the network." enum:"stored,active" default:"active"`
}

func (c *recordImport) Run(e *env) error {
	var all []*gateway.ImportReport
	failed := 0
	for _, f := range c.Files {
		rep, err := importFile(e, f, c.Wait)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(f), err)
		}
		all = append(all, rep)
		failed += len(rep.Rejected)
	}
	waits := ""
	for _, r := range all {
		waits = max(waits, r.Waits)
	}
	err := e.show(all, "file records duplicates rejected patients", func(add func(...any)) {
		for i, r := range all {
			add(filepath.Base(c.Files[i]), r.Progress.Records, r.Progress.Duplicates, len(r.Rejected), len(r.Patients))
		}
	})
	for i, r := range all {
		for _, x := range r.Rejected {
			e.say("%s: entry %d (%s): %s: %s", filepath.Base(c.Files[i]), x.Index, x.Type, x.Issue.Code, x.Issue.Text)
		}
	}
	if err == nil && waits != "" { // nothing is lost, but it is not what was asked for
		return &client.Problem{Status: http.StatusServiceUnavailable, Code: "stored", Text: waits}
	}
	if err == nil && failed > 0 {
		return fmt.Errorf("%d resources were rejected; the others are kept", failed)
	}
	return err
}

func importFile(e *env, path, wait string) (*gateway.ImportReport, error) {
	var in io.Reader = e.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usageError{err.Error()}
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || info.IsDir() {
			return nil, usageError{path + " is not a file"}
		}
		in = f
	}
	format := "bundle"
	if strings.HasSuffix(path, ".ndjson") {
		format = "ndjson"
	}
	api, err := e.api()
	if err != nil {
		return nil, err
	}
	r, err := api.Do(e.ctx, "POST", "/v1/import?format="+format+"&wait="+wait, "application/fhir+json", in)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return readImport(r.Body, func(intake.Progress) {})
}

// readImport reads the progress lines of an import to its report.
func readImport(r io.Reader, progress func(intake.Progress)) (*gateway.ImportReport, error) {
	d := json.NewDecoder(r)
	for {
		var l gateway.ImportLine
		if err := d.Decode(&l); err != nil {
			return nil, fmt.Errorf("%w: the node stopped before the import was complete; import the same files again: nothing is doubled", client.ErrUnreachable)
		}
		switch {
		case l.Error != nil:
			return nil, problem(l.Error)
		case l.Done != nil:
			return l.Done, nil
		case l.Progress != nil:
			progress(*l.Progress)
		}
	}
}

// problem is an error of the gateway as the client would have made it of an answer.
func problem(p *gateway.Problem) error {
	if n, err := strconv.ParseUint(p.Code, 0, 32); err == nil {
		return tx.Refuse(uint32(n), p.Text)
	}
	status := 0
	if p.Code == "unreachable" || p.Code == "busy" || p.Code == client.CodeUnsettled {
		status = http.StatusServiceUnavailable
	}
	return &client.Problem{Status: status, Code: p.Code, Text: p.Text}
}

type recordList struct {
	Patient string `arg:"" help:"Pseudonym."`
}

func (c *recordList) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var rs []record.Owned
	if err := api.JSON(e.ctx, "GET", "/v1/patients/"+a.String()+"/records", nil, &rs); err != nil {
		return err
	}
	return e.show(rs, "id type status labels", func(add func(...any)) {
		for _, r := range rs {
			add(r.ID, r.Type, r.Status, strings.Join(r.Labels, ","))
		}
	})
}

type recordGet struct {
	ID string `arg:"" help:"Record id."`
}

func (c *recordGet) Run(e *env) error {
	if _, err := record.ParseID(c.ID); err != nil {
		return usageError{err.Error()}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	b, err := api.Bytes(e.ctx, "GET", "/v1/records/"+c.ID, nil)
	if err != nil {
		return err
	}
	_, err = e.out.Write(b)
	return err
}

// timed runs f and says how long it took.
func timed(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}
