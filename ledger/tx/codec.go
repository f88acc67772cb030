package tx

import (
	"bytes"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// Bounds of decoding. Lengths are checked against the input before anything of
// that length is allocated, so memory is bounded by these and by the input.
const (
	maxDepth       = 16
	maxElements    = 4096    // of one array in a transaction
	maxAnyElements = 1 << 17 // of one array elsewhere
	maxPairs       = 4096
)

// The modes are immutable. Strict options alone do not make a decoder
// canonical: it would still take integers in longer forms, keys in another
// order and strings of the wrong length for an array. The comparison in
// DecodeAny is what refuses those.
var (
	encMode    = newEncMode()
	decMode    = newDecMode(maxElements)
	decAnyMode = newDecMode(maxAnyElements)
)

func newEncMode() cbor.EncMode {
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty // else nil and empty are two encodings
	o.TagsMd = cbor.TagsForbidden
	m, err := o.EncMode()
	if err != nil {
		panic("tx: internal error: " + err.Error())
	}
	return m
}

func newDecMode(elements int) cbor.DecMode {
	simple, err := cbor.NewSimpleValueRegistryFromDefaults(
		cbor.WithRejectedSimpleValue(22), // null
		cbor.WithRejectedSimpleValue(23), // undefined
	)
	if err != nil {
		panic("tx: internal error: " + err.Error())
	}
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   maxDepth,
		MaxArrayElements:  elements,
		MaxMapPairs:       maxPairs,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		UTF8:              cbor.UTF8RejectInvalid,
		SimpleValues:      simple,
		NaN:               cbor.NaNDecodeForbidden,
		Inf:               cbor.InfDecodeForbidden,
	}.DecMode()
	if err != nil {
		panic("tx: internal error: " + err.Error())
	}
	return m
}

// Encode returns the canonical encoding of v: RFC 8949 section 4.2.1, nil
// slices as empty ones, no tags. v is one of our own structs with integer keys;
// an error means that its type cannot be encoded.
func Encode(v any) ([]byte, error) {
	b, err := encMode.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("tx: encode %T: %w", v, err)
	}
	return b, nil
}

// MustEncode is Encode for types known to be encodable; it panics on others.
func MustEncode(v any) []byte {
	b, err := Encode(v)
	if err != nil {
		panic("tx: internal error: " + err.Error())
	}
	return b
}

// Decode decodes b, of at most MaxTx bytes, into v, a pointer to a zero value,
// and refuses every encoding but the one Encode gives. On an error v is not to
// be used. The errors are *Refusal: CodeTooLarge, CodeMalformed,
// CodeNotCanonical.
func Decode(b []byte, v any) error { return decode(decMode, b, v, MaxTx) }

// DecodeAny is Decode with another size limit in bytes, for what is not a
// transaction: messages between members, rows and proofs kept elsewhere.
func DecodeAny(b []byte, v any, max int) error { return decode(decAnyMode, b, v, max) }

// DecodeOwn decodes what this program encoded itself and keeps under a hash of
// its own: it does not ask whether Encode gives the same bytes again. Nothing
// that comes from elsewhere may be read with it.
func DecodeOwn(b []byte, v any) error {
	if decAnyMode.Unmarshal(b, v) != nil {
		return errMalformed
	}
	return nil
}

func decode(m cbor.DecMode, b []byte, v any, max int) error {
	if len(b) > max {
		return errTooLarge
	}
	// The decoder's own errors may quote the input: they stay here.
	if err := m.Unmarshal(b, v); err != nil {
		return errMalformed
	}
	again, err := encMode.Marshal(v)
	if err != nil || !bytes.Equal(again, b) {
		return errNotCanonical
	}
	return nil
}
