package main

import (
	"bytes"
	"fmt"

	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/node"
)

type memberCmd struct {
	Keys       memberKeys       `cmd:"" help:"This organisation's address and keys, as the ledger has them."`
	Address    memberAddress    `cmd:"" help:"Say where the other members reach this organisation's node."`
	RotatePeer memberRotatePeer `cmd:"" help:"Replace the key of the links between members. Then start the node again."`
	RotateKey  memberRotateKey  `cmd:"" help:"Add a new service key and install it. Then start the node again, and revoke the old one."`
	RevokeKey  memberRevokeKey  `cmd:"" help:"End a service key that the node does not use."`
}

// own is this organisation as the ledger has it.
func own(e *env) (governance.Member, error) {
	c, err := e.config()
	if err != nil {
		return governance.Member{}, err
	}
	api, err := e.api()
	if err != nil {
		return governance.Member{}, err
	}
	return findMember(e, api, c.Member.String())
}

type memberKeys struct{}

func (*memberKeys) Run(e *env) error {
	m, err := own(e)
	if err != nil {
		return err
	}
	return e.show(m, "what value", func(add func(...any)) {
		add("account", m.Account)
		add("address", m.Address)
		add("peer", fmt.Sprintf("%x", m.Peer))
		add("validator", fmt.Sprintf("%x", m.Validator))
		for _, k := range m.Keys.Open() {
			add("key "+k.Public.ID().String(), k.Public)
		}
	})
}

type memberAddress struct {
	Address string `arg:"" help:"host:port of the listener for members, as they reach it."`
}

func (c *memberAddress) Run(e *env) error {
	m, err := own(e)
	if err != nil {
		return err
	}
	return submit(e, governance.KindAddress, &governance.Address{Address: c.Address, Peer: m.Peer})
}

type memberRotatePeer struct{}

func (*memberRotatePeer) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	m, err := own(e)
	if err != nil {
		return err
	}
	next, err := node.NextKey(c.PeerKeyFile())
	if err != nil {
		return err
	}
	if !bytes.Equal(m.Peer, next) { // else it committed before, and only the file is left
		if err := submit(e, governance.KindAddress, &governance.Address{Address: m.Address, Peer: next}); err != nil {
			return err
		}
	}
	if err := node.InstallKey(c.PeerKeyFile()); err != nil {
		return err
	}
	e.say("Start the node again now: until then no other member talks to it.")
	return nil
}

type memberRotateKey struct{}

func (*memberRotateKey) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	m, err := own(e)
	if err != nil {
		return err
	}
	old, err := node.MemberKeyID(c)
	if err != nil {
		return err
	}
	next, err := node.NextKey(c.MemberKeyFile())
	if err != nil {
		return err
	}
	key := tx.Ed25519Key(next)
	if _, there := m.Keys.Find(key.ID()); !there {
		if err := submit(e, governance.KindRotate, &governance.Rotate{Add: []tx.PublicKey{key}}); err != nil {
			return err
		}
	}
	if err := node.InstallKey(c.MemberKeyFile()); err != nil {
		return err
	}
	e.say("Start the node again, then: salus member revoke-key %s", old)
	return nil
}

type memberRevokeKey struct {
	ID string `arg:"" help:"Id of the key, as 'salus member keys' lists it."`
}

func (c *memberRevokeKey) Run(e *env) error {
	cfg, err := e.config()
	if err != nil {
		return err
	}
	m, err := own(e)
	if err != nil {
		return err
	}
	used, err := node.MemberKeyID(cfg)
	if err != nil {
		return err
	}
	if c.ID == used.String() {
		return usageError{"the node signs with this key; `salus member rotate-key` makes another one first"}
	}
	for _, k := range m.Keys.Open() {
		if k.Public.ID().String() == c.ID {
			return submit(e, governance.KindRotate, &governance.Rotate{Revoke: []tx.KeyID{k.Public.ID()}})
		}
	}
	return usageError{"no live key of that id; `salus member keys` lists them"}
}
