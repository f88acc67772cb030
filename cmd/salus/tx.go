package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"salus/client"
	"salus/ledger/tx"
	"salus/node"
)

type txCmd struct {
	Show txShow `cmd:"" help:"Explain a transaction: its id on the ledger, or its bytes in hex or in a file."`
}

type txShow struct {
	What string `arg:"" help:"A transaction id, hex bytes, or a file."`
}

// shownTx is a transaction in plain words.
type shownTx struct {
	ID        tx.Hash           `json:"id"`
	Chain     string            `json:"chain,omitempty"`
	Kind      tx.Kind           `json:"kind,omitempty"`
	Signer    tx.Account        `json:"signer"`
	Nonce     uint64            `json:"nonce,omitempty"`
	Expiry    uint64            `json:"expiry,omitempty"`
	Message   json.RawMessage   `json:"message,omitempty"`
	Signers   []string          `json:"signatures,omitempty"`
	Committed *client.Committed `json:"committed,omitempty"`
}

func (c *txShow) Run(e *env) error {
	if id, err := tx.ParseHash(c.What); err == nil {
		return c.byID(e, id)
	}
	b, err := os.ReadFile(c.What)
	if err != nil {
		if b, err = hex.DecodeString(strings.TrimSpace(c.What)); err != nil {
			return usageError{"want a transaction id, hex bytes, or a file"}
		}
	}
	s, err := explainTx(b)
	if err != nil {
		return err
	}
	return s.print(e)
}

func (c *txShow) byID(e *env, id tx.Hash) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	got, ok, err := api.Result(e.ctx, id)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("no transaction %s on this node's ledger", short(id))
	}
	s := &shownTx{ID: id, Committed: &got}
	if raw, err := api.Bytes(e.ctx, "GET", "/v1/tx/"+id.String()+"/raw", nil); err == nil {
		if full, err := explainTx(raw); err == nil {
			full.Committed = &got
			s = full
		}
	}
	return s.print(e)
}

// explainTx decodes bytes as strictly as the ledger does.
func explainTx(raw []byte) (*shownTx, error) {
	env, body, err := tx.DecodeEnvelope(raw)
	if err != nil {
		return nil, err
	}
	s := &shownTx{ID: tx.Digest(env.Body, body.Chain), Chain: body.Chain, Kind: body.Kind, Signer: body.Signer, Nonce: body.Nonce, Expiry: body.Expiry}
	for _, g := range env.Signatures {
		s.Signers = append(s.Signers, fmt.Sprintf("%s by key %s of %s", g.Alg, g.Key, g.Account))
	}
	for _, call := range node.Calls() {
		if call.Kind != body.Kind {
			continue
		}
		m, err := call.Decode(body.Payload)
		if err != nil {
			return nil, err
		}
		if s.Message, err = json.MarshalIndent(m, "", "  "); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *shownTx) print(e *env) error {
	return e.show(s, "", func(add func(...any)) {
		add("id", s.ID)
		if s.Kind != "" {
			add("kind", s.Kind)
			add("chain", s.Chain)
			add("signer", s.Signer)
			add("nonce", s.Nonce)
			add("valid until block", s.Expiry)
			for _, g := range s.Signers {
				add("signature", g)
			}
			add("message", string(s.Message))
		}
		if s.Committed != nil {
			add("block", s.Committed.Height)
			if s.Committed.Code != 0 {
				add("refused", fmt.Sprintf("%#04x %s", s.Committed.Code, s.Committed.Text))
			} else {
				add("result", "accepted")
			}
		}
	})
}
