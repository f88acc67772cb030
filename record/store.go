package record

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble"

	"salus/ledger/tx"
	"salus/seal"
)

// ID names a record network-wide: 16 random bytes.
type ID [16]byte

// Status is how safe a record is.
type Status uint8

// The two acknowledgements of DESIGN section 4, and the step between them.
const (
	// Stored: durable in this organisation's own encrypted store and outbox.
	Stored Status = 1
	// Dealt: its batch is sealed and in the outbox; nothing about it changes any more.
	Dealt Status = 2
	// Active: the ledger counts enough custody receipts and holders.
	Active Status = 3
)

// String is the word the command line and the API use.
func (s Status) String() string {
	switch s {
	case Stored:
		return "stored"
	case Dealt:
		return "anchoring"
	case Active:
		return "active"
	}
	return "unknown"
}

// row is one record in the organisation's own store.
type row struct {
	ID      ID         `cbor:"1,keyasint"`
	Patient tx.Account `cbor:"2,keyasint"`
	Status  Status     `cbor:"3,keyasint"`
	Type    string     `cbor:"4,keyasint"`
	Labels  []string   `cbor:"5,keyasint"`
	Slots   uint64     `cbor:"6,keyasint"`
	Kind    uint8      `cbor:"7,keyasint"` // seal.KindRecord or seal.KindIndex
	Summary []byte     `cbor:"8,keyasint"` // fhir.Summary, for the index record
	Body    []byte     `cbor:"9,keyasint"` // compressed exact bytes
	Batch   [32]byte   `cbor:"10,keyasint"`
	Index   uint16     `cbor:"11,keyasint"` // in the batch's manifest
	// Version: it is a version of the clinical store, which can be made again from these rows.
	Version bool `cbor:"12,keyasint,omitempty"`
	// Erased is set when what the record said is gone: what it held is all that is known of it.
	Erased *Named `cbor:"13,keyasint,omitempty"`
}

// patientRow is what the organisation keeps about one patient.
type patientRow struct {
	Patient tx.Account `cbor:"1,keyasint"`
	Steward tx.Account `cbor:"2,keyasint"`
	Slots   []byte     `cbor:"3,keyasint"` // SlotMap: complete at the steward, otherwise what this author was told
	// Reference is the FHIR reference under which this organisation knows her.
	Reference string `cbor:"4,keyasint"`
	// Secret is the steward's half of the claim code that makes the pseudonym the patient's own.
	Secret [32]byte `cbor:"5,keyasint"`
}

// Key prefixes of the store. Every value is sealed under the store key with its own key
// as associated data, so rows cannot be swapped; keys hold random ids and keyed hashes only.
const (
	prefixRecord  = 'r' // + ID: row
	prefixPatient = 'P' // + account: patientRow
	prefixOf      = 'p' // + account + ID: nothing
	prefixLink    = 'l' // + keyed hash of a FHIR reference: account
	prefixSame    = 'd' // + keyed hash of patient, type, id and bytes: ID
	prefixStored  = 's' // + ID: nothing; records that no batch holds yet
	prefixOutbox  = 'o' // + sequence: parcel in delivery
	prefixDone    = 'O' // + sequence: doneRow, the chain of what was delivered
	prefixMeta    = 'm' // outbox head, key check
	prefixSummary = 'e' // + account: Summary, the last for emergencies
)

// store is the organisation's own encrypted store over one Pebble database.
// Pebble's write-ahead log with Sync is the fsync behind "stored".
type store struct {
	db   *pebble.DB
	aead cipher.AEAD
	mac  [32]byte // key of the link and duplicate hashes
}

var (
	errNotFound = errors.New("record: not in this organisation's store")
	errDamaged  = errors.New("record: a row of the store is damaged or sealed under another key")
)

func openStore(dir string, key [32]byte) (*store, error) {
	cache := pebble.NewCache(16 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{Cache: cache, Logger: quiet{}})
	if err != nil {
		return nil, fmt.Errorf("record: open store: %w", err)
	}
	s := &store{db: db, mac: seal.Sum("store-mac", key[:])}
	enc := seal.Sum("store-enc", key[:])
	block, err := aes.NewCipher(enc[:])
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if s.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if err := s.checkKey(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// keyCheck is a row that only the right key opens: a store must not be written under two.
var keyCheck = []byte{prefixMeta, 'k'}

func (s *store) checkKey() error {
	var version uint8
	err := s.get(keyCheck, &version)
	if !errors.Is(err, errNotFound) {
		return err
	}
	b := s.db.NewBatch()
	defer b.Close()
	if err := s.put(b, keyCheck, uint8(1)); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	return nil
}

// quiet drops Pebble's event lines.
type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf("record: store: "+format, a...)) }

func (s *store) close() error { return s.db.Close() }

func key(prefix byte, parts ...[]byte) []byte {
	k := []byte{prefix}
	for _, p := range parts {
		k = append(k, p...)
	}
	return k
}

// hash is a keyed hash: without the store key nobody can test a guess against a row's key.
func (s *store) hash(parts ...[]byte) []byte {
	h := hmac.New(sha256.New, s.mac[:])
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum(nil)
}

func (s *store) put(b *pebble.Batch, k []byte, v any) error {
	plain, err := tx.Encode(v)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return b.Set(k, s.aead.Seal(nil, nil, plain, k), nil)
}

// sync makes durable all that is committed: one fsync of the write-ahead log takes along what is in it before.
func (s *store) sync() error {
	if err := s.db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("record: store: %w", err)
	}
	return nil
}

func (s *store) has(k []byte) (bool, error) {
	_, closer, err := s.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("record: read store: %w", err)
	}
	return true, closer.Close()
}

func (s *store) get(k []byte, v any) error {
	sealed, closer, err := s.db.Get(k)
	if errors.Is(err, pebble.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return fmt.Errorf("record: read store: %w", err)
	}
	defer closer.Close()
	return s.open(k, sealed, v)
}

func (s *store) open(k, sealed []byte, v any) error {
	plain, err := s.aead.Open(nil, nil, sealed, k)
	if err != nil {
		return errDamaged
	}
	if err := tx.DecodeAny(plain, v, len(plain)); err != nil {
		return errDamaged
	}
	return nil
}

// scan calls f with each key under prefix (without it) and the sealed value.
func (s *store) scan(prefix []byte, f func(rest, value []byte) error) error {
	return scan(s.db, prefix, f)
}

func scan(of pebble.Reader, prefix []byte, f func(rest, value []byte) error) error {
	it, err := of.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return fmt.Errorf("record: read store: %w", err)
	}
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		if err := f(it.Key()[len(prefix):], it.Value()); err != nil {
			return err
		}
	}
	return it.Error()
}

// after is the first key that does not begin with prefix.
func after(prefix []byte) []byte {
	out := append([]byte(nil), prefix...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
	return nil
}

func (s *store) record(id ID) (*row, error) {
	var r row
	return &r, s.get(key(prefixRecord, id[:]), &r)
}

func newID() (id ID, err error) {
	_, err = rand.Read(id[:])
	return id, err
}
