package mllp

import (
	"crypto/sha256"

	"salus/hl7"
)

// A Feed is a sender whose messages have one order: MSH-3 and MSH-4 as sent.
type Feed struct{ Application, Facility string }

// An Identity is what makes a message the same message: its feed, MSH-10 and the
// SHA-256 of its bytes.
type Identity struct {
	Feed      Feed
	ControlID string
	Hash      [32]byte
}

// Identify returns the identity of a message and the bytes it was read from.
func Identify(m *hl7.Message, raw []byte) Identity {
	msh := m.Segment("MSH")
	return Identity{
		Feed:      Feed{string(msh.Field(3).Raw()), string(msh.Field(4).Raw())},
		ControlID: string(msh.Field(10).Raw()),
		Hash:      sha256.Sum256(raw),
	}
}

// A Decision says what to do with a message.
type Decision int

const (
	// New: store it, then answer.
	New Decision = iota
	// Repeat: the same bytes were answered before; give the same answer, do nothing.
	Repeat
	// Conflict: other bytes came under this control id; AE with condition 205.
	Conflict
)

// Decide compares a message with the hash that was stored for its feed and control
// id; known is false if none was.
func Decide(id Identity, stored [32]byte, known bool) Decision {
	switch {
	case !known:
		return New
	case stored == id.Hash:
		return Repeat
	}
	return Conflict
}
