package node

import "salus/gateway/balp"

// Events is what the log of patients is read by.
func (n *Node) Events() *balp.Reader { return n.fhir.front.Events }

// CloseUnused closes a node that has not run.
func (n *Node) CloseUnused() error { return n.closeAll() }
