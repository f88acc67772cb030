package intake

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"salus/ccda"
)

// documentMedia are the media types of a document.
var documentMedia = []string{"application/xml", "text/xml", "application/hl7-cda+xml"}

// document takes a C-CDA document in: one transaction, whole or not at all.
func (x *intake) document(media string) error {
	if !slices.Contains(documentMedia, media) {
		return errMedia
	}
	src, err := io.ReadAll(x.r.Body)
	if err != nil {
		return bodyError(err)
	}
	res, err := ccda.Map(src, ccda.Options{Zone: x.zone})
	if err != nil {
		return err
	}
	x.report.SHA256 = hex.EncodeToString(res.Hash[:])
	bundle, err := restricted(res.Bundle)
	if err != nil {
		return err
	}
	list, status, err := x.apply(x.r.Context(), x.leave, x.r.Header, bundle, x.dry)
	if err != nil {
		return err
	}
	x.took(list, status)
	for _, u := range res.Unmapped {
		if len(x.report.Unmapped) == MaxListed {
			x.report.Truncated = true
			break
		}
		x.report.Unmapped = append(x.report.Unmapped, Unmapped(u))
	}
	return nil
}

// bodyError is why a body could not be read.
func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errLarge
	}
	return errBody
}

// coding is a code as FHIR has it.
type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// restrictedCode labels what holds everything that a document says (spec/labels.md): the labels of
// its parts say nothing of it.
var restrictedCode = coding{"http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R"}

// restricted labels the documents and narratives of a Bundle, beside the labels that they have.
func restricted(bundle []byte) ([]byte, error) {
	var b struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Entry        []entry `json:"entry"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		return nil, fmt.Errorf("intake: a mapped document is no Bundle: %w", err)
	}
	for i := range b.Entry {
		var r map[string]json.RawMessage
		if err := json.Unmarshal(b.Entry[i].Resource, &r); err != nil {
			return nil, fmt.Errorf("intake: a mapped resource is no JSON: %w", err)
		}
		if t := string(r["resourceType"]); t != `"DocumentReference"` && t != `"Composition"` && t != `"Binary"` {
			continue
		}
		meta := map[string]json.RawMessage{}
		var labels []json.RawMessage
		if raw, ok := r["meta"]; ok {
			if err := json.Unmarshal(raw, &meta); err != nil {
				return nil, fmt.Errorf("intake: a mapped resource has no meta: %w", err)
			}
		}
		if raw, ok := meta["security"]; ok {
			if err := json.Unmarshal(raw, &labels); err != nil {
				return nil, fmt.Errorf("intake: a mapped resource has no labels: %w", err)
			}
		}
		if slices.ContainsFunc(labels, func(raw json.RawMessage) bool {
			var c coding
			return json.Unmarshal(raw, &c) == nil && c.System == restrictedCode.System && (c.Code == "R" || c.Code == "V")
		}) {
			continue
		}
		// One Confidentiality it is: N beside R would say two things.
		labels = slices.DeleteFunc(labels, func(raw json.RawMessage) bool {
			var c coding
			return json.Unmarshal(raw, &c) == nil && c.System == restrictedCode.System
		})
		code, err := json.Marshal(restrictedCode)
		if err != nil {
			return nil, fmt.Errorf("intake: label: %w", err)
		}
		if meta["security"], err = json.Marshal(append(labels, code)); err != nil {
			return nil, fmt.Errorf("intake: label: %w", err)
		}
		if r["meta"], err = json.Marshal(meta); err != nil {
			return nil, fmt.Errorf("intake: label: %w", err)
		}
		if b.Entry[i].Resource, err = json.Marshal(r); err != nil {
			return nil, fmt.Errorf("intake: label: %w", err)
		}
	}
	return json.Marshal(b)
}
