package tx_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/tx"
)

type small struct {
	N uint64     `cbor:"1,keyasint"`
	S string     `cbor:"2,keyasint"`
	A [2]byte    `cbor:"3,keyasint"`
	L []uint64   `cbor:"4,keyasint"`
	B []byte     `cbor:"5,keyasint,omitempty"`
	P *small     `cbor:"6,keyasint,omitempty"`
	X []tx.KeyID `cbor:"24,keyasint,omitempty"`
}

// TestDecodeTakesOneEncoding varies the encoding of one value in each way that
// CBOR allows; all but the canonical one are refused.
func TestDecodeTakesOneEncoding(t *testing.T) {
	const good = "a4" + "0107" + "026161" + "03420102" + "048100"
	for _, c := range []struct {
		name, hex string
		code      uint32
	}{
		{"canonical", good, tx.CodeOK},
		{"empty input", "", tx.CodeMalformed},
		{"truncated", good[:len(good)-2], tx.CodeMalformed},
		{"trailing byte", good + "00", tx.CodeMalformed},
		{"trailing value", good + good, tx.CodeMalformed},
		{"long integer", "a4" + "011807" + "026161" + "03420102" + "048100", tx.CodeNotCanonical},
		{"long integer of 8 bytes", "a4" + "011b0000000000000007" + "026161" + "03420102" + "048100", tx.CodeNotCanonical},
		{"long key", "a4" + "180107" + "026161" + "03420102" + "048100", tx.CodeNotCanonical},
		{"long map head", "b804" + "0107" + "026161" + "03420102" + "048100", tx.CodeNotCanonical},
		{"long string head", "a4" + "0107" + "02780161" + "03420102" + "048100", tx.CodeNotCanonical},
		{"long array head", "a4" + "0107" + "026161" + "03420102" + "04980100", tx.CodeNotCanonical},
		{"keys in another order", "a4" + "026161" + "0107" + "03420102" + "048100", tx.CodeNotCanonical},
		{"duplicate key", "a5" + "0107" + "0107" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"duplicate key in two forms", "a5" + "0107" + "180107" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"unknown key", "a5" + "0107" + "026161" + "03420102" + "048100" + "0700", tx.CodeMalformed},
		{"negative key", "a5" + "0107" + "026161" + "03420102" + "048100" + "2000", tx.CodeMalformed},
		{"text key", "a5" + "0107" + "026161" + "03420102" + "048100" + "614e00", tx.CodeMalformed},
		{"missing key", "a3" + "0107" + "026161" + "048100", tx.CodeNotCanonical},
		{"empty field that is left out", "a5" + "0107" + "026161" + "03420102" + "048100" + "0540", tx.CodeNotCanonical},
		{"null list", "a4" + "0107" + "026161" + "03420102" + "04f6", tx.CodeMalformed},
		{"null pointer", "a5" + "0107" + "026161" + "03420102" + "048100" + "06f6", tx.CodeMalformed},
		{"undefined", "a4" + "01f7" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"array too short", "a4" + "0107" + "026161" + "034101" + "048100", tx.CodeNotCanonical},
		{"array too long", "a4" + "0107" + "026161" + "0343010203" + "048100", tx.CodeNotCanonical},
		{"array as list of numbers", "a4" + "0107" + "026161" + "03820102" + "048100", tx.CodeNotCanonical},
		{"bytes for text", "a4" + "0107" + "024161" + "03420102" + "048100", tx.CodeMalformed},
		{"bad UTF-8", "a4" + "0107" + "0261ff" + "03420102" + "048100", tx.CodeMalformed},
		{"float for integer", "a4" + "01f94700" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"bool for integer", "a4" + "01f5" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"negative for unsigned", "a4" + "0126" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"bignum", "a4" + "01c24107" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"tag", "a4" + "01c107" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"self-described", "d9d9f7" + good, tx.CodeMalformed},
		{"indefinite map", "bf" + good[2:] + "ff", tx.CodeMalformed},
		{"indefinite list", "a4" + "0107" + "026161" + "03420102" + "049f00ff", tx.CodeMalformed},
		{"indefinite text", "a4" + "0107" + "027f6161ff" + "03420102" + "048100", tx.CodeMalformed},
		{"list for map", "84" + "07" + "6161" + "420102" + "8100", tx.CodeMalformed},
		{"reserved head", "a4" + "011c" + "026161" + "03420102" + "048100", tx.CodeMalformed},
		{"nothing but null", "f6", tx.CodeMalformed},
		{"a length beyond the input", "a4" + "0107" + "026161" + "03420102" + "049b7fffffffffffffff", tx.CodeMalformed},
		{"too many elements", "a4" + "0107" + "026161" + "03420102" + "04991001" + strings.Repeat("00", 4097), tx.CodeMalformed},
		{"as many elements as allowed", "a4" + "0107" + "026161" + "03420102" + "04991000" + strings.Repeat("00", 4096), tx.CodeOK},
		{"nested too deep", strings.Repeat("a106", 17) + "a0", tx.CodeMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			var v small
			wantCode(t, "Decode", tx.Decode(b, &v), c.code)
			if c.code == tx.CodeOK && !bytes.Equal(tx.MustEncode(&v), b) {
				t.Errorf("got other bytes when encoded again")
			}
		})
	}
}

func TestDecodeLimitsSize(t *testing.T) {
	type blob struct {
		B []byte `cbor:"1,keyasint"`
	}
	const overhead = 5
	fits := tx.MustEncode(blob{make([]byte, tx.MaxTx-overhead)})
	over := tx.MustEncode(blob{make([]byte, tx.MaxTx-overhead+1)})
	if len(fits) > tx.MaxTx || len(over) <= tx.MaxTx {
		t.Fatalf("got lengths %d and %d around %d", len(fits), len(over), tx.MaxTx)
	}
	wantCode(t, "at the limit", tx.Decode(fits, new(blob)), tx.CodeOK)
	wantCode(t, "over the limit", tx.Decode(over, new(blob)), tx.CodeTooLarge)
	wantCode(t, "over, elsewhere", tx.DecodeAny(over, new(blob), len(over)), tx.CodeOK)
	wantCode(t, "over its own limit", tx.DecodeAny(over, new(blob), len(over)-1), tx.CodeTooLarge)
}

func TestNilAndEmptyAreOneEncoding(t *testing.T) {
	a, b := tx.MustEncode(&small{}), tx.MustEncode(&small{L: []uint64{}, B: []byte{}})
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("nil and empty differ (-nil +empty):\n%s", diff)
	}
}

func TestDecodeErrorsQuoteNothing(t *testing.T) {
	const secret = "SamplePatient0007"
	for _, b := range [][]byte{
		append([]byte{0xa1, 0x01, 0x71}, secret...),
		append([]byte{0xa1, 0x71}, append([]byte(secret), 0)...),
		append([]byte{0xa1, 0x02, 0x78, 0x11}, secret...),
	} {
		err := tx.Decode(b, new(small))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v, want a refusal without the input's words", err)
		}
	}
}

func TestEncodeRefusesWhatHasNoEncoding(t *testing.T) {
	if _, err := tx.Encode(make(chan int)); err == nil {
		t.Error("got no error, want one")
	}
	defer func() {
		if recover() == nil {
			t.Error("MustEncode: got no panic, want one")
		}
	}()
	tx.MustEncode(func() {})
}
