// Package feed receives HL7 v2 messages over MLLP, plain or over TLS, and sends
// them: what a feed acknowledges is on disk, in order, and done once.
//
// Its contract, inbound: the bytes of a message are in the journal, sealed and
// synced, before anything else is done with them. AA is written only after Apply
// said that the message's effect is durable, and is itself in the journal before it
// is sent. A message that comes again (control id and bytes) gets the same answer
// and has no second effect; other bytes under a known control id get AE with
// condition 205. What cannot be mapped gets AE and becomes a dead letter; what is
// no message, or of a kind that is not supported, gets AR. When Apply fails for a
// reason that is not the message's, nothing is answered: the sender sends again,
// and the messages after it wait. After a crash at any point, Open finds each
// message either done or pending, and never loses one that was answered.
//
// Outbound: one message at a time, in the order of Enqueue; the next waits until
// the last has its AA or became a dead letter. What is dropped is not sent from then on.
//
// The package must never log, or put into an error, a value of a message; reasons
// are codes. Messages leave it only to Apply, Merger and the receiver.
package feed

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"salus/internal/durable"
)

// Errors of a journal.
var (
	ErrKey     = errors.New("feed: the key does not open this journal")
	ErrDamaged = errors.New("feed: the journal is damaged")
	ErrFailed  = errors.New("feed: the journal could not be written; open it again")
	ErrUnknown = errors.New("feed: no such message, or not in that state")
)

const (
	nonceSize = 12
	maxRecord = 64 << 20
	magic     = "salus feed journal 1"
)

// The kinds of records.
const (
	kindHead     = "head"
	kindReceived = "received" // inbound: Raw; outbound: queued
	kindAnswered = "answered" // Of has this outcome; Raw is the answer
	kindDropped  = "discarded"
)

// A record is one line of the journal. Its JSON is sealed: nobody else reads it.
type record struct {
	Kind   string
	Of     uint64    `json:",omitempty"` // the message, by the number of its received record
	Raw    []byte    `json:",omitempty"`
	ID     string    `json:",omitempty"` // identity: feed and control id
	Hash   []byte    `json:",omitempty"` // SHA-256 of the message
	About  []string  `json:",omitempty"` // outbound: whom and what it tells of, for Drop
	Code   string    `json:",omitempty"` // AA, AE, AR
	Reason string    `json:",omitempty"` // code of an error, never a value
	Time   time.Time `json:",omitzero"`
}

// A journal is a file that is appended only: for each record its length (4 bytes),
// a nonce, and the record sealed with AES-256-GCM under its number and the hash of
// the record before it, so that none can be exchanged, left out or put elsewhere.
// It is not safe for concurrent use.
type journal struct {
	f      *os.File
	aead   cipher.AEAD
	n      uint64 // records
	size   int64
	link   [32]byte // hash of the last frame
	at     []int64  // where each record begins
	links  [][32]byte
	failed bool
}

// openJournal reads all records and hands them to each. A file that ends within a
// record is cut there: that record was never acknowledged.
func openJournal(dir, name string, key [32]byte, each func(n uint64, r record)) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	aead, err := sealed(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	j := &journal{f: f, aead: aead}
	if err := j.load(each); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if err := durable.SyncDir(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("feed: %w", err), f.Close())
	}
	return j, nil
}

// The names of journals.
const (
	inboundJournal  = "inbound.journal"
	outboundJournal = "outbound.journal"
)

// sealed is AES-256-GCM under a key.
func sealed(key [32]byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	return aead, nil
}

func (j *journal) load(each func(uint64, record)) error {
	size, err := j.scan(each)
	if err != nil {
		return err
	}
	if j.size < size {
		if err := j.f.Truncate(j.size); err != nil {
			return fmt.Errorf("feed: %w", err)
		}
		if err := j.f.Sync(); err != nil {
			return fmt.Errorf("feed: %w", err)
		}
	}
	if j.n == 0 {
		_, err := j.append(record{Kind: kindHead, Raw: []byte(magic)})
		return err
	}
	return nil
}

// scan reads all records; it returns the size of the file, which may end within a record.
func (j *journal) scan(each func(uint64, record)) (int64, error) {
	info, err := j.f.Stat()
	if err != nil {
		return 0, fmt.Errorf("feed: %w", err)
	}
	for j.size < info.Size() {
		frame, err := j.frame(j.size, info.Size())
		if err != nil {
			return 0, err
		}
		if frame == nil {
			break // cut within a record
		}
		plain, err := j.open(frame, j.n, j.link)
		if err != nil {
			if j.n == 0 {
				return 0, ErrKey
			}
			return 0, ErrDamaged
		}
		var r record
		if json.Unmarshal(plain, &r) != nil || (j.n == 0) != (r.Kind == kindHead) || j.n == 0 && string(r.Raw) != magic {
			return 0, ErrDamaged
		}
		j.at, j.links = append(j.at, j.size), append(j.links, j.link)
		if j.n > 0 {
			each(j.n, r)
		}
		j.advance(frame)
	}
	return info.Size(), nil
}

// frame reads the record that begins at an offset; nil if the file ends within it.
func (j *journal) frame(at, size int64) ([]byte, error) {
	var head [4]byte
	if size-at < 4 {
		return nil, nil
	}
	if _, err := j.f.ReadAt(head[:], at); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n == 0 { // a file that was made longer and not yet written
		return nil, j.zeros(at, size)
	}
	if n > maxRecord || n < nonceSize+int64(j.aead.Overhead()) {
		return nil, ErrDamaged
	}
	if size-at < 4+n {
		return nil, nil
	}
	frame := make([]byte, 4+n)
	if _, err := j.f.ReadAt(frame, at); err != nil {
		return nil, fmt.Errorf("feed: %w", err)
	}
	return frame, nil
}

func (j *journal) zeros(at, size int64) error {
	buf := make([]byte, 4096)
	for at < size {
		n, err := j.f.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && err != io.EOF {
			return fmt.Errorf("feed: %w", err)
		}
		for _, c := range buf[:n] {
			if c != 0 {
				return ErrDamaged
			}
		}
		at += int64(n)
	}
	return nil
}

func (j *journal) bind(n uint64, link [32]byte) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(magic), link[:]...), n)
}

func (j *journal) open(frame []byte, n uint64, link [32]byte) ([]byte, error) {
	return j.aead.Open(nil, frame[4:4+nonceSize], frame[4+nonceSize:], j.bind(n, link))
}

func (j *journal) advance(frame []byte) {
	j.link = sha256.Sum256(frame)
	j.size += int64(len(frame))
	j.n++
}

// append writes a record and returns its number once it is on disk. After an error
// it is not known whether the record is there: the journal refuses to go on.
func (j *journal) append(r record) (uint64, error) {
	if j.failed {
		return 0, ErrFailed
	}
	plain, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("feed: %w", err)
	}
	frame := make([]byte, 4+nonceSize, 4+nonceSize+len(plain)+j.aead.Overhead())
	_, _ = rand.Read(frame[4:])
	frame = j.aead.Seal(frame, frame[4:4+nonceSize], plain, j.bind(j.n, j.link))
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	if _, err := j.f.WriteAt(frame, j.size); err != nil {
		j.failed = true
		return 0, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	if err := j.f.Sync(); err != nil {
		j.failed = true
		return 0, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	n := j.n
	j.at, j.links = append(j.at, j.size), append(j.links, j.link)
	j.advance(frame)
	return n, nil
}

// read gives record n again.
func (j *journal) read(n uint64) (record, error) {
	var r record
	if n == 0 || n >= j.n {
		return r, ErrUnknown
	}
	frame, err := j.frame(j.at[n], j.size)
	if err != nil || frame == nil {
		return r, errors.Join(ErrDamaged, err)
	}
	plain, err := j.open(frame, n, j.links[n])
	if err != nil || json.Unmarshal(plain, &r) != nil {
		return r, ErrDamaged
	}
	return r, nil
}

func (j *journal) close() error { return j.f.Close() }
