package chart

import (
	"context"
	"errors"
	"net/http"

	"salus/client"
	"salus/gateway/rest"
)

// MediaReceipt is the media type of a ledger receipt (spec/receipt.md), which `salus verify`
// checks with nothing but the network's genesis file.
const MediaReceipt = "application/vnd.salus.receipt+cbor"

var errReceipt = rest.NewFault(http.StatusNotFound, "not-found", "chart-receipt", "this Provenance has no receipt: it was not written by the server")

var errStill = rest.NewFault(http.StatusServiceUnavailable, "transient", "ledger-no-quorum", "the ledger stands still, because too few members can be reached: the receipt cannot be made now")

// Operations are what this room adds to the FHIR server: Provenance/[id]/$receipt, the proof that
// the versions which the Provenance is about are on the ledger; Patient/$match; the declaration of emergencies.
func (s *Service) Operations() []rest.Operation {
	return append(s.emergencies(), rest.Operation{
		Name: "match", Types: []string{"Patient"}, Definition: "http://hl7.org/fhir/OperationDefinition/Patient-match", Handle: s.match,
	}, rest.Operation{
		Name: "receipt", Instances: []string{"Provenance"}, ReadOnly: true, Definition: "urn:salus:operation:receipt", Handle: s.receipt,
	})
}

func (s *Service) receipt(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	if !c.Leave.Allows(rest.Read, c.Type) {
		return nil, rest.ErrForbidden
	}
	v, err := rest.See(ctx, s.Store, c.Leave, c.Type, c.ID)
	if err != nil {
		return nil, err
	}
	index, err := s.LogIndex(&v)
	if errors.Is(err, ErrNoReceipt) {
		return nil, errReceipt
	}
	if err != nil {
		return nil, err
	}
	b, err := s.Prove(ctx, index)
	if errors.Is(err, client.ErrUnsettled) {
		return nil, errStill
	}
	if err != nil {
		return nil, err
	}
	return &rest.Reply{Header: http.Header{"Content-Type": {MediaReceipt}}, Body: b}, nil
}
