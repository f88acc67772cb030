package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
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

// commitSize is the key commitment in front of every ciphertext. There two vaults keep it;
// in the manifest every custodian would. Under the ciphertext's hash it is as fixed.
const commitSize = 32

// encryptRecord pads and encrypts, behind the commitment to the key.
func encryptRecord(key Key, commit [32]byte, chain string, patientCommit [32]byte, id [16]byte, plain []byte) ([]byte, error) {
	aead, aad, err := recordAEAD(key, chain, patientCommit, id)
	if err != nil {
		return nil, err
	}
	padded := pad(plain)
	defer clear(padded)
	b := append(make([]byte, 0, commitSize+len(padded)+aead.Overhead()), commit[:]...)
	return aead.Seal(b, recordNonce[:], padded, aad[:]), nil
}

// Decrypt opens one record with a key from [Combine]: it compares the ciphertext with the
// manifest entry, decrypts, and takes the padding off. The caller has verified that the
// entry belongs to the header ([VerifyEntry]).
//
// Errors: [ErrCiphertext] if these are not the committed bytes (fetch them elsewhere);
// [ErrAuthor] if the committed bytes do not open under the committed key.
func Decrypt(h *Header, e *Entry, key Key, ciphertext []byte) ([]byte, error) {
	if !e.commits(ciphertext) {
		return nil, ErrCiphertext
	}
	aead, aad, err := recordAEAD(key, h.Chain, h.PatientCommit, e.ID)
	if err != nil {
		return nil, err
	}
	padded, err := aead.Open(nil, recordNonce[:], ciphertext[commitSize:], aad[:])
	if err != nil {
		return nil, fmt.Errorf("%w: record does not open under its committed key", ErrAuthor)
	}
	plain, ok := unpad(padded)
	if !ok {
		return nil, fmt.Errorf("%w: record is not padded as the format demands", ErrAuthor)
	}
	return plain, nil
}
