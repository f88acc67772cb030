// Package bulk moves many resources at once: FHIR Bulk Data Access 2.0 $export at the system, Group
// and Patient level, and $import of NDJSON.
//
//	bulk.go      Service: its operations, its jobs, their end
//	kickoff.go   what an $export asks for
//	export.go    the work of one job: from the store's pages to files
//	snapshot.go  the store as of the start of a job
//	deleted.go   what was deleted since
//	file.go      files, sealed under the key of their job
//	job.go       a job, and its record on disk
//	serve.go     status, cancel, files
//	limits.go    what a client saw, as a digest
//	load.go      $import
//
// Contract: an export has what its caller's Leave shows of the organisation's own resources as of
// the job's start, and nothing else is in any file, count or progress. What a ledger session opened
// is never exported: it must end with the session. A file is given only to the client that asked,
// while the Guard admits it and it still may read what the file holds. Files are encrypted under a
// key of their job, which is destroyed with the job: at its deletion or expiry. That a job has expired is told to its client
// for 30 days (410); it is not there to others. A job that a restart interrupted is reported failed. An import holds a bounded part of what is sent in memory,
// and says of every rejected line why.
//
// It must never write plaintext to disk, nor put what a resource says into a log, an error, or the
// name of a file.
package bulk
