// Package rehearsal is a module that comes with state-machine version 2, so that
// a change of rules can be rehearsed on a network of real programs: it is in
// programs built with the tag "rehearsal" and in no release.
//
// Before version 2 its message is unknown and none of its rows exist; the first
// block of version 2 writes one, so that a node which ran that block by the old
// rules would come to another app hash. It must never be part of a network with
// records in it.
package rehearsal
