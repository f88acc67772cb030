package intake

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // FHIR's Attachment.hash is SHA-1
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"

	"salus/fhir"
	"salus/tabular"
)

// Systems of what is kept of a table.
const (
	systemRows    = "urn:salus:intake:csv"     // identifiers of kept rows: SHA-256 of mapping and rows
	systemMapping = "urn:salus:intake:mapping" // SHA-256 of the mapping file that they were read by
)

// table takes a CSV file in: a transaction for each group of rows.
func (x *intake) table(media string, params map[string]string) error {
	m, in, err := x.open(media, params)
	if err != nil {
		return err
	}
	if !m.OfPatient() && !m.Directory() {
		return errDirectory
	}
	hash := sha256.New()
	in = io.TeeReader(in, hash)
	count, err := m.Read(in, func(g *tabular.Group) error { return x.group(m, g) }, func(r tabular.Rejection) error {
		x.report.reject(Rejected{Rejection: r})
		return nil
	})
	count.Rejected += x.refused.Rows
	count.Groups -= x.refused.Groups
	x.report.Rows = &count
	if stop, ok := errors.AsType[*tabular.Error](err); ok {
		if count.Rows == 0 {
			return err
		}
		x.report.Stopped, err = &Stop{stop.Line, stop.Column, stop.Code}, nil
	}
	if err != nil {
		if p := (*Problem)(nil); errors.As(err, &p) {
			return err
		}
		return bodyError(err)
	}
	if x.report.Stopped == nil {
		x.report.SHA256 = hex.EncodeToString(hash.Sum(nil))
	}
	return nil
}

// open finds the mapping and the file. The mapping is read and checked first.
func (x *intake) open(media string, params map[string]string) (*tabular.Mapping, io.Reader, error) {
	switch {
	case media == "text/csv":
		m, err := x.named(x.mapping)
		return m, x.r.Body, err
	case media != "multipart/form-data" || params["boundary"] == "":
		return nil, nil, errMedia
	case x.mapping != "":
		return nil, nil, errArgument
	}
	parts := multipart.NewReader(x.r.Body, params["boundary"])
	p, err := parts.NextPart()
	if err != nil {
		return nil, nil, bodyError(err)
	}
	if p.FormName() != "mapping" {
		return nil, nil, errMedia
	}
	src, err := io.ReadAll(io.LimitReader(p, tabular.MaxMapping+1))
	if err != nil {
		return nil, nil, bodyError(err)
	}
	m, err := tabular.Load(src, x.Set)
	if err != nil {
		return nil, nil, err
	}
	if p, err = parts.NextPart(); err != nil {
		return nil, nil, bodyError(err)
	}
	if p.FormName() != "file" {
		return nil, nil, errMedia
	}
	return m, p, nil
}

// group writes one group of rows. What the FHIR server does not take is reported by its rows, and the
// next group goes on.
func (x *intake) group(m *tabular.Mapping, g *tabular.Group) error {
	bundle, err := withRows(m, g)
	if err != nil {
		return err
	}
	list, status, err := x.apply(x.r.Context(), x.leave, x.r.Header, bundle, x.dry)
	var p *Problem
	switch {
	case err == nil:
		x.took(list, status)
		return nil
	case !errors.As(err, &p) || p.Status >= http.StatusInternalServerError || p.Status == http.StatusForbidden || p.Status == http.StatusUnauthorized:
		return err
	}
	x.refused.Groups++
	x.refused.Rows += len(g.Lines)
	about := map[int]bool{}
	if i := entryOf(err); i >= 0 && i < len(g.Entries) {
		for _, line := range g.Entries[i].Lines {
			about[line] = true
		}
	}
	for _, line := range g.Lines {
		r := Rejected{tabular.Rejection{Line: line, Code: p.Code}, p.Where}
		if len(about) > 0 && !about[line] {
			r.Code, r.Where = tabular.CodeGroup, ""
		}
		x.report.reject(r)
	}
	return nil
}

// withRows is a group's transaction with the rows themselves, as a DocumentReference of the patient.
func withRows(m *tabular.Mapping, g *tabular.Group) ([]byte, error) {
	raw, err := g.Bundle()
	if err != nil {
		return nil, err
	}
	var b struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry"`
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, fmt.Errorf("intake: a group is no Bundle: %w", err)
	}
	sum := sha256.Sum256(bytes.Join([][]byte{m.Hash[:], g.Raw}, nil))
	id, mapping := hex.EncodeToString(sum[:]), hex.EncodeToString(m.Hash[:])
	sum1 := sha1.Sum(g.Raw) //nolint:gosec // as above
	labels := []any{restrictedCode}
	seen := map[fhir.Label]bool{fhir.R: true, fhir.V: true}
	var related []any
	for _, e := range g.Entries {
		for _, l := range e.Labels {
			if l == fhir.V {
				labels[0] = coding{restrictedCode.System, "V"}
			}
			if !seen[l] {
				seen[l] = true
				labels = append(labels, coding{"http://terminology.hl7.org/CodeSystem/v3-ActCode", string(l)})
			}
		}
		if e.Type != "Patient" {
			related = append(related, object{"reference": e.FullURL})
		}
	}
	ref := object{
		"resourceType": "DocumentReference", "status": "current", "meta": object{"security": labels},
		"identifier": []any{object{"system": systemRows, "value": id}}, "type": object{"text": "Rows of a table"},
		"content": []any{object{
			"attachment": object{
				"contentType": "text/csv", "data": base64.StdEncoding.EncodeToString(g.Raw), "hash": base64.StdEncoding.EncodeToString(sum1[:]), "size": len(g.Raw),
			},
			"format": object{"system": systemMapping, "code": mapping},
		}},
	}
	if p := g.Patient(); p != nil {
		ref["subject"] = object{"reference": p.FullURL}
	}
	if len(related) > 0 {
		ref["context"] = object{"related": related}
	}
	body, err := json.Marshal(ref)
	if err != nil {
		return nil, fmt.Errorf("intake: rows: %w", err)
	}
	b.Entry = append(b.Entry, entry{
		FullURL: "urn:uuid:" + id[:8] + "-" + id[8:12] + "-8" + id[13:16] + "-8" + id[17:20] + "-" + id[20:32], Resource: body,
		Request: request{Method: http.MethodPost, URL: "DocumentReference", IfNoneExist: "identifier=" + systemRows + "|" + id},
	})
	return json.Marshal(b)
}

// object is FHIR JSON.
type object = map[string]any
