package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"salus/client"
	"salus/gateway"
	"salus/gateway/intake"
	"salus/ledger/tx"
)

type recordImport struct {
	Files  []string `arg:"" help:"Files, or - for standard input."`
	Wait   string   `help:"Wait until the records are stored here, or active on the network." enum:"stored,active" default:"active"`
	Format string   `help:"What the files are: a Bundle each, or NDJSON. By default the name tells: .ndjson, or else a Bundle." enum:"bundle,ndjson,by-name" default:"by-name"`
}

// Run imports file after file, and tells of those that were imported also when one cannot be.
func (c *recordImport) Run(e *env) error {
	var all []*gateway.ImportReport
	var stopped error
	for _, f := range c.Files {
		rep, err := c.send(e, f)
		if err != nil {
			stopped = fmt.Errorf("%s: %w", filepath.Base(f), err)
			break
		}
		all = append(all, rep)
	}
	failed, waits := 0, ""
	for _, r := range all {
		failed, waits = failed+r.Progress.Rejected, max(waits, r.Waits)
	}
	if len(all) > 0 {
		err := e.show(all, "file records duplicates rejected patients", func(add func(...any)) {
			for i, r := range all {
				add(filepath.Base(c.Files[i]), r.Progress.Records, r.Progress.Duplicates, r.Progress.Rejected, len(r.Patients))
			}
		})
		if err != nil {
			return err
		}
	}
	for i, r := range all {
		c.rejected(e, c.Files[i], r)
	}
	switch {
	case stopped != nil:
		return stopped
	case waits != "": // nothing is lost, but it is not what was asked for
		return &client.Problem{Status: http.StatusServiceUnavailable, Code: "stored", Text: waits}
	case failed > 0:
		return fmt.Errorf("%d resources were rejected; the others are kept", failed)
	}
	return nil
}

// rejected says what of a file was not taken, and where in the file it is.
func (c *recordImport) rejected(e *env, path string, r *gateway.ImportReport) {
	for _, x := range r.Rejected {
		at := fmt.Sprintf("entry %d", x.Index)
		if c.format(path) == ndjson {
			at = fmt.Sprintf("line %d", x.Index+1)
		}
		if x.Type != "" {
			at += " (" + x.Type + ")"
		}
		e.say("%s: %s: %s: %s", filepath.Base(path), at, x.Issue.Code, x.Issue.Text)
	}
	if more := r.Progress.Rejected - len(r.Rejected); more > 0 {
		e.say("%s: and %d more", filepath.Base(path), more)
	}
}

const ndjson = "ndjson"

// format is what a file is: as it was said, or as its name tells.
func (c *recordImport) format(path string) string {
	if c.Format != "by-name" {
		return c.Format
	}
	if strings.HasSuffix(path, ".ndjson") {
		return ndjson
	}
	return "bundle"
}

// send imports one file.
func (c *recordImport) send(e *env, path string) (*gateway.ImportReport, error) {
	in, err := openImport(e, path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	api, err := e.api()
	if err != nil {
		return nil, err
	}
	r, err := api.Do(e.ctx, "POST", "/v1/import?format="+c.format(path)+"&wait="+c.Wait, "application/fhir+json", in)
	switch {
	case errors.Is(err, errGrew):
		return nil, usageError{errGrew.Error()}
	case err != nil:
		return nil, err
	}
	defer r.Body.Close()
	return readImport(r.Body, func(intake.Progress) {})
}

// openImport opens what is to be imported.
func openImport(e *env, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(e.in), nil
	}
	f, err := os.Open(path)
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err // the name is said
		}
		return nil, usageError{err.Error()}
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case info.IsDir():
		return nil, errors.Join(usageError{"it is a folder; name its files"}, f.Close())
	case !info.Mode().IsRegular(): // a pipe has no size
		return f, nil
	}
	return &steady{f, info}, nil
}

// errGrew: the node writes nothing of a body that breaks off.
var errGrew = errors.New("the file changed while it was read, and nothing of it was imported; import it when its writer is done")

// A steady file ends with errGrew if it is not what it was when it was opened: half a file would be
// imported as if it were all.
type steady struct {
	f    *os.File
	info fs.FileInfo
}

// Read implements io.Reader.
func (s *steady) Read(p []byte) (int, error) {
	n, err := s.f.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	if now, failed := s.f.Stat(); failed != nil || now.Size() != s.info.Size() || !now.ModTime().Equal(s.info.ModTime()) {
		return n, errGrew
	}
	return n, err
}

// Close implements io.Closer.
func (s *steady) Close() error { return s.f.Close() }

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
