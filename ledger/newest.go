//go:build !rehearsal

package ledger

const newest = 1
