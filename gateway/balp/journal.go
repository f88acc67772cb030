package balp

import (
	"bytes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"salus/internal/durable"
)

// A new file begins when the last one has this size, or an event comes that is so much younger than the
// file's first: what may be pruned is then soon in files of its own (Prune).
const (
	segmentSize = 64 << 20
	segmentSpan = 31 * 24 * time.Hour
)

// A row is where an event is.
type row struct {
	file   int
	offset int64
	before Head
}

// A Journal keeps events on disk: sealed, appended only, each bound to those before it. It holds a row
// of 56 bytes in memory for each event, and 96 more for one of a list that was received. It is safe for concurrent use.
type Journal struct {
	dir  string
	aead cipher.AEAD

	mu       sync.RWMutex // guards what follows
	files    []*os.File
	pruned   []*os.File // by the last Prune
	size     int64      // of the last file: what is acknowledged ends there
	begun    int64      // when its first event happened, unix milliseconds
	head     Head
	rows     []row
	patients map[string][]int // rows of each patient, by Who.Reference or Value
	times    []int64          // of the rows, unix milliseconds
	arrivals []Arrival        // of lists of records, by their number
	failed   error

	queue   sync.Mutex // guards what follows
	waiting []pending  // to be written
	writing bool       // somebody writes what waits; else nothing does
	alone   bool       // the last to be written was one by itself
	closed  bool
	idle    *sync.Cond // of queue: nobody writes any more

	inspected bool // nothing is changed on disk
}

// OpenJournal opens the journal in a folder, made if there is none, and checks every event in it: that
// it opens, and follows the one before. A file that ends within an event, as a crash leaves it, is cut
// there: that event was never acknowledged. Errors: ErrKey, ErrDamaged, or what the file system says.
func OpenJournal(dir string, key [32]byte) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("balp: journal: %w", err)
	}
	j := &Journal{dir: dir}
	return j, j.open(key)
}

// InspectJournal opens a journal that nobody writes, to read it: nothing is changed on disk, and what a crash left
// behind the last event stays there. One that is not there has no events. Append says ErrClosed. Errors: those of
// OpenJournal.
func InspectJournal(dir string, key [32]byte) (*Journal, error) {
	j := &Journal{dir: dir, inspected: true, closed: true}
	return j, j.open(key)
}

// open reads what is there. After an error nothing is open.
func (j *Journal) open(key [32]byte) (err error) {
	j.patients, j.idle = map[string][]int{}, sync.NewCond(&j.queue)
	if j.aead, err = newSeal(key); err != nil {
		return err
	}
	if err := j.load(); err != nil {
		return errors.Join(err, j.closeFiles())
	}
	return nil
}

func (j *Journal) load() error {
	names, err := segments(j.dir)
	if j.inspected && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, name := range names {
		if err := j.loadSegment(name, i == 0, i == len(names)-1); err != nil {
			return err
		}
	}
	if len(j.files) == 0 && !j.inspected {
		return j.begin()
	}
	return nil
}

// loadSegment reads one file. The first tells where the journal begins: what is older was pruned.
func (j *Journal) loadSegment(name string, first, last bool) error {
	mode := os.O_RDWR
	if j.inspected {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(name, mode, 0)
	if err != nil {
		return fmt.Errorf("balp: journal: %w", err)
	}
	j.files = append(j.files, f)
	b, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("balp: journal: %w", err)
	}
	if len(b) < headerSize && last { // made, and not yet begun
		if j.inspected {
			return nil
		}
		return j.rewrite(f)
	}
	h, err := parseHeader(b)
	if err != nil || !first && h != j.head || filepath.Base(name) != segmentName(h.Seq+1) {
		return ErrDamaged
	}
	j.head = h
	at := headerSize
	for at < len(b) {
		n, err := whole(b[at:])
		if last && zeros(b[at:]) { // space that a crash left without what was to be in it
			n, err = 0, nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		plain, err := opened(j.aead, j.head, b[at:at+n])
		if err != nil && len(j.rows) == 0 {
			return ErrKey
		}
		var e Event
		if err != nil || json.Unmarshal(plain, &e) != nil {
			return ErrDamaged
		}
		j.add(knownOf(&e), row{len(j.files) - 1, int64(at), j.head})
		j.head = j.head.after(b[at : at+n])
		at += n
	}
	j.size = int64(at)
	switch {
	case at == len(b):
		return nil
	case !last:
		return ErrDamaged
	case j.inspected:
		return nil
	}
	if err := f.Truncate(j.size); err != nil {
		return fmt.Errorf("balp: journal: %w", err)
	}
	return f.Sync()
}

func zeros(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// rewrite makes the header of a file anew that a crash left without a whole one.
func (j *Journal) rewrite(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("balp: journal: %w", err)
	}
	if _, err := f.WriteAt(header(j.head), 0); err != nil {
		return fmt.Errorf("balp: journal: %w", err)
	}
	j.size = headerSize
	if filepath.Base(f.Name()) != segmentName(j.head.Seq+1) {
		return ErrDamaged
	}
	return f.Sync()
}

// begin makes the next file.
func (j *Journal) begin() error {
	f, err := os.OpenFile(filepath.Join(j.dir, segmentName(j.head.Seq+1)), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("balp: journal: %w", err)
	}
	j.files = append(j.files, f)
	if err := j.rewrite(f); err != nil {
		return err
	}
	return durable.SyncDir(j.dir)
}

// key is what a patient is found by.
func (w Who) key() string {
	if w.Reference != "" {
		return w.Reference
	}
	return w.Value
}

// known is what is kept of an event in memory, besides its row.
type known struct {
	patient string   // Who.key
	at      int64    // unix milliseconds
	arrival *Arrival // nil: it says nothing of a list of records
}

func knownOf(e *Event) known {
	return known{e.Patient.key(), e.Time.UnixMilli(), e.arrival()}
}

func (j *Journal) add(k known, r row) {
	j.rows = append(j.rows, r)
	j.times = append(j.times, k.at)
	if r.offset == headerSize {
		j.begun = k.at
	}
	if k.patient != "" {
		j.patients[k.patient] = append(j.patients[k.patient], len(j.rows)-1)
	}
	if k.arrival != nil {
		k.arrival.Seq = r.before.Seq + 1
		j.arrivals = append(j.arrivals, *k.arrival)
	}
}

// Head says how far the journal has come. Who keeps it elsewhere can tell later whether events were
// taken off the end (Includes).
func (j *Journal) Head() Head {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return j.head
}

// Includes says whether the journal still holds everything up to a head that it once had. What was
// pruned it cannot tell: then it is true if the head is older than the first event.
func (j *Journal) Includes(x Head) bool {
	h := j.held()
	return h.includes(x)
}

// A Stored is an event of the journal.
type Stored struct {
	Seq uint64
	Event
}

// Scan reads the events of a patient (Who.Reference, or Value without one), or of all for "", that
// happened in [from, to); a zero time is open. fn gets the newest first until it returns false.
func (j *Journal) Scan(patient string, from, to time.Time, fn func(Stored) bool) error {
	j.mu.RLock()
	var rows []int
	if patient != "" {
		rows = slices.Clone(j.patients[patient])
	} else {
		rows = make([]int, len(j.rows))
		for i := range rows {
			rows[i] = i
		}
	}
	rows = slices.DeleteFunc(rows, func(i int) bool {
		return !from.IsZero() && j.times[i] < from.UnixMilli() || !to.IsZero() && j.times[i] >= to.UnixMilli()
	})
	places := make([]found, len(rows))
	for n, i := range rows {
		places[n] = j.find(i)
	}
	j.mu.RUnlock()
	for _, f := range slices.Backward(places) {
		s, err := j.read(f)
		if err != nil {
			return err
		}
		if !fn(s) {
			return nil
		}
	}
	return nil
}

// Read returns one event; ok is false if there is none of that number.
func (j *Journal) Read(seq uint64) (s Stored, ok bool, err error) {
	j.mu.RLock()
	n, first := uint64(len(j.rows)), uint64(0)
	if n > 0 {
		first = j.rows[0].before.Seq + 1
	}
	if n == 0 || seq < first || seq-first >= n {
		j.mu.RUnlock()
		return s, false, nil
	}
	f := j.find(int(seq - first))
	j.mu.RUnlock()
	s, err = j.read(f)
	return s, err == nil, err
}

// found is a row with its file: it can be read without the lock, and after it was pruned.
type found struct {
	row
	in *os.File
}

func (j *Journal) find(i int) found { return found{j.rows[i], j.files[j.rows[i].file]} }

func (j *Journal) read(r found) (Stored, error) {
	b, err := frameAt(r.in, r.offset)
	if err != nil {
		return Stored{}, err
	}
	plain, err := opened(j.aead, r.before, b)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{Seq: r.before.Seq + 1}
	if json.Unmarshal(plain, &s.Event) != nil {
		return Stored{}, ErrDamaged
	}
	return s, nil
}

// Close writes what waits and closes the files.
func (j *Journal) Close() error {
	j.queue.Lock()
	j.closed = true
	for j.writing {
		j.idle.Wait()
	}
	j.queue.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closeFiles()
}

func (j *Journal) closeFiles() (err error) {
	for _, f := range append(j.pruned, j.files...) {
		err = errors.Join(err, f.Close())
	}
	return err
}

// Prune removes the whole files whose every event is older than a time and numbered through or below, but
// never the last file, and returns how many events that were. What follows stays bound to the head before
// it. A read that began before the last call of Prune and still goes on fails.
func (j *Journal) Prune(before time.Time, through uint64) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, f := range j.pruned {
		_ = f.Close() // it is removed: nothing is lost with it
	}
	j.pruned = nil
	files, events := 0, 0
	for i := 0; i < len(j.rows); i++ {
		if j.times[i] >= before.UnixMilli() || j.rows[i].before.Seq >= through || j.rows[i].file == len(j.files)-1 {
			break
		}
		if i+1 == len(j.rows) || j.rows[i+1].file != j.rows[i].file {
			files, events = j.rows[i].file+1, i+1
		}
	}
	if files == 0 {
		return 0, nil
	}
	for _, f := range j.files[:files] { // the oldest first: a crash leaves no gap
		if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return 0, fmt.Errorf("balp: journal: %w", err)
		}
	}
	j.pruned = slices.Clone(j.files[:files]) // somebody may be reading them
	j.files, j.rows, j.times = slices.Clone(j.files[files:]), slices.Clone(j.rows[events:]), slices.Clone(j.times[events:])
	for i := range j.rows {
		j.rows[i].file -= files
	}
	j.arrivals = slices.DeleteFunc(j.arrivals, func(a Arrival) bool { return len(j.rows) == 0 || a.Seq <= j.rows[0].before.Seq })
	for k, rows := range j.patients {
		kept := rows[:0]
		for _, i := range rows {
			if i >= events {
				kept = append(kept, i-events)
			}
		}
		if j.patients[k] = kept; len(kept) == 0 {
			delete(j.patients, k)
		}
	}
	return events, durable.SyncDir(j.dir)
}
