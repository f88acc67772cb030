package bulk

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"salus/gateway/rest"
)

// An import writes its lines in groups of that many, or that many bytes.
const (
	groupLines = 200
	groupBytes = 4 << 20
)

// importNDJSON is $import: every line of the body is a resource, written as the update of its id
// or created without one. The answer is Parameters with the numbers of lines accepted and rejected
// and, if any was rejected, the address of a file with an OperationOutcome for each. What was
// accepted is durable, also if the body breaks off.
func (s *Service) importNDJSON(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	typ, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || typ != "application/fhir+ndjson" && typ != "application/ndjson" {
		return nil, errMedia
	}
	if c.Leave.Client == "" {
		return nil, errClient
	}
	j, err := newJob(c.Leave.Client)
	if err != nil {
		return nil, err
	}
	j.Limits, j.Request = limits(c.Leave), c.Base+"/$import"
	ctx, j.cancel = context.WithCancel(ctx)
	defer j.cancel()
	if err := s.add(j); err != nil {
		return nil, err
	}
	i := &importer{exporter: exporter{Service: s, request: &request{server: c.Server, leave: *c.Leave}, job: j}, call: c}
	end := i.run(ctx)
	if err = end; errors.Is(end, errBody) {
		err = nil
	}
	if err == nil {
		err = i.end()
	}
	if i.out != nil {
		i.out.abandon()
	}
	if err == nil && i.rejected > 0 && ctx.Err() == nil {
		s.finish(j, nil)
		return i.answer(end)
	}
	// There is no report, or nobody who will be told of it.
	s.remove(j.ID)
	if err := errors.Join(err, s.destroy(j)); err != nil {
		return nil, err
	}
	return i.answer(end)
}

// An importer does one import.
type importer struct {
	exporter
	call *rest.Call

	line               int64
	accepted, rejected int64
	group              [][]byte
	lines              []int64 // of the group
	size               int
}

func (i *importer) run(ctx context.Context) error {
	r := bufio.NewReaderSize(i.call.Reader, 64<<10)
	for {
		line, err := i.read(r)
		switch {
		case errors.Is(err, errLine):
			if err := i.reject(i.line, errLine); err != nil {
				return err
			}
			continue
		case err != nil && !errors.Is(err, io.EOF):
			if err := i.flush(ctx); err != nil {
				return err
			}
			return errBody
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			i.group, i.lines, i.size = append(i.group, line), append(i.lines, i.line), i.size+len(line)
		}
		if len(i.group) >= groupLines || i.size >= groupBytes || err != nil {
			if err := i.flush(ctx); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// read returns the next line, a copy; errLine for one that is too long, which it passes over.
func (i *importer) read(r *bufio.Reader) (line []byte, err error) {
	i.line++
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > i.MaxLine+1 {
			long, line = true, nil
		} else if !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case long && (err == nil || errors.Is(err, io.EOF)):
			return nil, errLine // at the end, the next read says so
		}
		return line, err
	}
}

// flush writes the group.
func (i *importer) flush(ctx context.Context) error {
	if len(i.group) == 0 {
		return nil
	}
	if err := i.alive(ctx); err != nil {
		return err
	}
	errs, err := i.server.Load(ctx, i.call.Leave, i.call.Header, i.group)
	if err != nil {
		return err
	}
	for k, err := range errs {
		if err == nil {
			i.accepted++
		} else if err := i.reject(i.lines[k], err); err != nil {
			return err
		}
	}
	i.group, i.lines, i.size = i.group[:0], i.lines[:0], 0
	return nil
}

// reject writes why a line was not taken.
func (i *importer) reject(line int64, why error) error {
	i.rejected++
	f := rest.FaultOf(why)
	issues := append([]rest.Issue{}, f.Issues...)
	for k := range issues {
		issues[k].Text = fmt.Sprintf("line %d: %s", line, issues[k].Text)
	}
	if err := i.begin("error", "OperationOutcome"); err != nil {
		return err
	}
	return i.write(rest.Outcome(issues))
}

// answer tells how an import went.
func (i *importer) answer(broken error) (*rest.Reply, error) {
	type parameter struct {
		Name    string `json:"name"`
		Integer *int64 `json:"valueUnsignedInt,omitempty"`
		URL     string `json:"valueUrl,omitempty"`
		Text    string `json:"valueString,omitempty"`
	}
	p := struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}{"Parameters", []parameter{{Name: "accepted", Integer: &i.accepted}, {Name: "rejected", Integer: &i.rejected}}}
	for _, f := range i.job.Files {
		p.Parameter = append(p.Parameter, parameter{Name: "report", URL: fmt.Sprintf("%s/%s/%d", i.URL, i.job.ID, f.Number)})
	}
	status := http.StatusOK
	if broken != nil {
		status = http.StatusBadRequest
		p.Parameter = append(p.Parameter, parameter{Name: "incomplete", Text: strings.TrimPrefix(errBody.Issues[0].Text, "bulk: ")})
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("bulk: report: %w", err)
	}
	return &rest.Reply{Status: status, Body: b}, nil
}
