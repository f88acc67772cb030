package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"salus/threshold"
)

// recordKey derives a record's key and the commitment to it from the shared secret.
// AES-GCM does not commit to its key, so one ciphertext could be made to open to two
// records under two keys: the commitment forbids that.
func recordKey(secret threshold.Secret, nonce [32]byte, id [16]byte) (key Key, commit [32]byte, err error) {
	okm, err := hkdf.Key(sha256.New, secret[:], nonce[:], domain+"record-key\x00"+string(id[:]), 64)
	if err != nil {
		return Key{}, commit, fmt.Errorf("seal: derive key: %w", err)
	}
	key, commit = Key(okm[:32]), [32]byte(okm[32:])
	clear(okm)
	return key, commit, nil
}

// recordAEAD returns the cipher and the additional data of one record.
func recordAEAD(key Key, chain string, patientCommit [32]byte, id [16]byte) (cipher.AEAD, [32]byte, error) {
	aad := Sum("record-aad", []byte(chain), patientCommit[:], id[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, aad, fmt.Errorf("seal: cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, aad, fmt.Errorf("seal: cipher: %w", err)
	}
	return aead, aad, nil
}

// The nonce may be zero because a key encrypts one message, ever.
var recordNonce [12]byte

// encryptRecord pads and encrypts.
func encryptRecord(key Key, chain string, patientCommit [32]byte, id [16]byte, plain []byte) ([]byte, error) {
	aead, aad, err := recordAEAD(key, chain, patientCommit, id)
	if err != nil {
		return nil, err
	}
	b := pad(plain)
	return aead.Seal(b[:0], recordNonce[:], b, aad[:]), nil
}

// Decrypt opens one record with a key from [Combine]: it compares the ciphertext with the
// manifest entry, decrypts, and takes the padding off. The caller has verified that the
// entry belongs to the header ([VerifyEntry]).
//
// Errors: [ErrCiphertext] if these are not the committed bytes (fetch them elsewhere);
// [ErrAuthor] if the committed bytes do not open under the committed key.
func Decrypt(h *Header, e *Entry, key Key, ciphertext []byte) ([]byte, error) {
	sum := sha256.Sum256(ciphertext)
	if len(ciphertext) != int(e.Size) || subtle.ConstantTimeCompare(sum[:], e.Ciphertext[:]) != 1 {
		return nil, ErrCiphertext
	}
	aead, aad, err := recordAEAD(key, h.Chain, h.PatientCommit, e.ID)
	if err != nil {
		return nil, err
	}
	padded, err := aead.Open(nil, recordNonce[:], ciphertext, aad[:])
	if err != nil {
		return nil, fmt.Errorf("%w: record does not open under its committed key", ErrAuthor)
	}
	plain, ok := unpad(padded)
	if !ok {
		return nil, fmt.Errorf("%w: record is not padded as the format demands", ErrAuthor)
	}
	return plain, nil
}
