package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"

	"salus/client"
	"salus/gateway/chart"
	"salus/gateway/intake"
)

// intakeCmd takes documents and tables of other programs in (docs/intake.md).
type intakeCmd struct {
	CCDA intakeCCDA `cmd:"" name:"ccda" help:"Take a C-CDA document in."`
	CSV  intakeCSV  `cmd:"" name:"csv" help:"Take a CSV file in, by a mapping."`
}

// intakeWay is how both are taken in.
type intakeWay struct {
	DryRun bool   `help:"Check everything and write nothing."`
	Wait   string `help:"Wait until it is stored here, or active on the network." enum:"stored,active" default:"active"`
	As     string `help:"Name of the practitioner's key in whose name it is taken in."`
}

type intakeCCDA struct {
	intakeWay

	Zone string `help:"Where times without a zone were written, e.g. Europe/Berlin; without it, their day is kept."`
	File string `arg:"" help:"The document, XML; - is standard input."`
}

func (c *intakeCCDA) Run(e *env) error {
	in, done, err := e.open(c.File)
	if err != nil {
		return err
	}
	defer done()
	q := url.Values{}
	if c.Zone != "" {
		q.Set("zone", c.Zone)
	}
	return c.send(e, intake.PathCCDA, q, "application/xml", in)
}

type intakeCSV struct {
	intakeWay

	Mapping string `required:"" help:"A mapping file, or the name of one in the node's mappings folder."`
	File    string `arg:"" help:"The table; - is standard input."`
}

func (c *intakeCSV) Run(e *env) error {
	in, done, err := e.open(c.File)
	if err != nil {
		return err
	}
	defer done()
	if !fileExists(c.Mapping) {
		return c.send(e, intake.PathCSV, url.Values{"mapping": {c.Mapping}}, "text/csv", in)
	}
	mapping, err := os.ReadFile(c.Mapping)
	if err != nil {
		return usageError{err.Error()}
	}
	// The parts around the table are small: it is sent as it is read.
	var head bytes.Buffer
	w := multipart.NewWriter(&head)
	p, err := w.CreateFormFile("mapping", "mapping.toml")
	if err == nil {
		_, err = p.Write(mapping)
	}
	if err == nil {
		_, err = w.CreateFormFile("file", "table.csv")
	}
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	before := bytes.Clone(head.Bytes())
	head.Reset()
	if err := w.Close(); err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	return c.send(e, intake.PathCSV, url.Values{}, w.FormDataContentType(), io.MultiReader(bytes.NewReader(before), in, &head))
}

// open opens a file that is to be sent.
func (e *env) open(path string) (io.Reader, func(), error) {
	if path == "-" {
		return e.in, func() {}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, usageError{err.Error()}
	}
	if info, err := f.Stat(); err != nil || info.IsDir() {
		return nil, nil, errors.Join(usageError{path + " is not a file"}, f.Close())
	}
	return f, func() { _ = f.Close() }, nil // it was only read
}

// send sends a file and shows the report; rows that were rejected are an error in the end.
func (c *intakeWay) send(e *env, path string, q url.Values, contentType string, in io.Reader) error {
	if c.DryRun {
		q.Set("dry-run", "true")
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	header := http.Header{"Content-Type": {contentType}, chart.HeaderWait: {c.Wait}}
	if c.As != "" {
		header.Set("Salus-As", c.As)
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	r, err := api.DoWith(e.ctx, "POST", path, header, in)
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return p
	}
	if err != nil {
		return err
	}
	var out intake.Report
	if err := errors.Join(json.NewDecoder(r.Body).Decode(&out), r.Body.Close()); err != nil {
		return fmt.Errorf("the node's answer: %w", err)
	}
	err = e.show(&out, "", func(add func(...any)) {
		add("created", out.Created)
		add("updated", out.Updated)
		add("unchanged", out.Unchanged)
		if out.Status != "" {
			add("status", out.Status)
		}
		if out.Rows != nil {
			add("rows", out.Rows.Rows)
			add("rejected", out.Rows.Rejected)
		} else {
			add("unmapped", len(out.Unmapped))
		}
	})
	for _, u := range out.Unmapped {
		e.say("not mapped: %s (%s) %s", u.Path, u.Reason, u.Template)
	}
	for _, x := range out.Rejected {
		e.say("line %d: %s %s%s", x.Line, x.Code, x.Column, x.Where)
	}
	switch {
	case err != nil:
		return err
	case out.Stopped != nil:
		return fmt.Errorf("the table was read up to line %d only: %s", out.Stopped.Line, out.Stopped.Code)
	case len(out.Rejected) > 0:
		return fmt.Errorf("%d rows were rejected; the others are kept", out.Rows.Rejected)
	}
	return nil
}
