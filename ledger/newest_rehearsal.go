//go:build rehearsal

package ledger

// newest is one more than a release knows, to rehearse a change of rules.
const newest = 2
