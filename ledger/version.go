package ledger

// Version is the newest state-machine version this code runs. A chain records
// the version it is at; code that does not know it refuses to start.
//
//	1  the first
//
// A handler whose rule changes at a version asks Context.Version and keeps the
// old rule for ever: blocks of the past are run again by every new member.
const Version = 1
