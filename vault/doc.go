// Package vault is a member's store of ciphertext. One pack holds the ciphertexts of one sealed batch; packs lie inside
// append-only segment files; a Pebble index says where, and can be rebuilt from the segments at any time. The formats
// are spec/vault.md.
//
// Contract: what PutPack, ImportPack and Drop acknowledge is on disk (fsync) and survives a crash at any point. Nothing
// is ever returned that does not hash to the address or pack id asked for. Damage stays where it is: one bad byte costs
// at most the blob or pack it lies in, is reported, and is repaired from a peer. A full disk refuses new packs with
// ErrNoSpace and keeps serving the old ones.
//
// It must never see a plaintext, a key, a patient or a pseudonym: names, errors and logs carry hashes and numbers only.
// It does not decide who may read; ciphertext is opaque to it, and whoever wires it to a network checks its callers.
package vault
