package cloud

import (
	"context"
	"time"
)

// A Source finds the records of one audit trail.
type Source interface {
	// Name is unique among the sources of a process and the same after a restart: the ledger keeps positions under it.
	Name() string
	// Run hands records to the inbox until ctx ends, and returns nil then. What goes wrong outside it retries, and says
	// in Status and the log; an error means that it cannot ever work.
	Run(ctx context.Context, in Inbox) error
	// Status says how it stands. It may be called at any time, and does not wait.
	Status() Status
}

// A Prober is a Source that can say beforehand whether it would work.
type Prober interface {
	// Probe makes the requests that Run would make, once, and changes nothing. It returns why the source would not
	// work.
	Probe(ctx context.Context) error
}

// An Inbox takes records in. A Ledger is one.
type Inbox interface {
	// Marks returns the marks that the source has set before, in this life or an earlier one.
	Marks(source string) map[string]string
	// Take counts the records of a batch that have not been counted yet, and sets its marks with them. It returns an
	// error if ctx ended, and the batch has not been taken then.
	Take(ctx context.Context, b Batch) error
}

// A Batch is a number of records that are counted together with a step of the source's position: both are in a
// checkpoint, or neither is.
type Batch struct {
	Source  string
	Records []Record
	// Marks are set once the records are counted. They say where the source is, in its own words.
	Marks []Mark
	// Settled, if not zero, promises that the source will not hand over any record from before this time again. Until
	// then the ledger remembers its records' IDs, whatever else it forgets.
	Settled time.Time
	// Done, if not nil, is called once after a checkpoint with this batch in it has been written: what the records came
	// from need not be kept any longer. It must not block.
	Done func()
}

// A Mark is a small fact that a source keeps over restarts. An empty value removes it.
type Mark struct{ Key, Value string }

// Coverage is which records a source reads.
type Coverage string

// The coverages.
const (
	CoversAll    Coverage = "all"
	CoversWrites Coverage = "writes" // reads, and so most throttles, are not seen
	CoversNone   Coverage = "none"   // it has not worked yet
)

// A Status is how a source stands.
type Status struct {
	Source string
	// Kind is lookup, s3, eventbridge or file.
	Kind string
	// Account and Region are what it reads, empty where it reads many.
	Account, Region string
	Coverage        Coverage
	// Through is until when everything that the trail has shown so far has been read, zero where the source does not know
	// yet.
	Through time.Time
	// LastSuccess is when it last got an answer, whether or not there was anything in it.
	LastSuccess time.Time
	// Err is why the last attempt failed, nil if it did not. It says what to do, and holds no secrets.
	Err error
	// Files were read, Skipped were not logs of calls (digests, insights, tests), Broken could not be read to the end.
	Files, Skipped, Broken uint64
	// Bad counts records that were nothing of the kind, Odd fields that had an unexpected type and were passed over.
	Bad, Odd uint64
	// Missed is the time that a source had to skip because it was further back than it may look.
	Missed time.Duration
}
