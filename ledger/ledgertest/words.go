package ledgertest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"salus/ledger/tx"
)

var quoted = regexp.MustCompile(`"@[^"]*"`)

// Word derives 32 bytes from a word; the first 16 are what @id/word stands for.
func Word(word string) [32]byte { return sha256.Sum256([]byte(word)) }

// expand replaces the strings of JSON that begin with @.
func (s *story) expand(text string) ([]byte, error) {
	var fault error
	out := quoted.ReplaceAllStringFunc(text, func(q string) string {
		word := strings.Trim(q, `"`)
		if d, ok := strings.CutPrefix(word, "@now"); ok {
			n, err := s.now(d)
			if err != nil {
				fault = err
			}
			return strconv.FormatUint(n, 10)
		}
		v, err := s.word(word)
		if err != nil {
			fault = err
		}
		return strconv.Quote(v)
	})
	return []byte(out), fault
}

// now is the block time plus or minus a duration.
func (s *story) now(d string) (uint64, error) {
	t := time.Unix(Start, 0)
	if s.chain != nil {
		t = s.chain.Now()
	}
	if d != "" {
		by, err := time.ParseDuration(d)
		if err != nil {
			return 0, err
		}
		t = t.Add(by)
	}
	return uint64(t.Unix()), nil
}

// word is the text that stands for @name and its like in JSON.
func (s *story) word(word string) (string, error) {
	what, name, ok := strings.Cut(strings.TrimPrefix(word, "@"), "/")
	if !ok {
		a := Account(what)
		s.names[a.String()] = "@" + what
		return a.String(), nil
	}
	w := Word(name)
	switch what {
	case "key":
		b, err := Public(name).MarshalText()
		return string(b), err
	case "keyid":
		return Public(name).ID().String(), nil
	case "tx":
		id, ok := s.ids[name]
		if !ok {
			return "", fmt.Errorf("no transaction is called %s", name)
		}
		return id.String(), nil
	case "hash":
		s.names[tx.Hash(w).String()] = word
		return tx.Hash(w).String(), nil
	case "id":
		return hex.EncodeToString(w[:16]), nil
	case "bytes":
		return base64.StdEncoding.EncodeToString(w[:]), nil
	}
	return "", fmt.Errorf("%s: unknown word", word)
}

// bytes reads part of a state key: hex digits, or a word that stands for bytes.
func (s *story) bytes(part string) ([]byte, error) {
	rest, ok := strings.CutPrefix(part, "@")
	if !ok {
		return hex.DecodeString(part)
	}
	what, name, ok := strings.Cut(rest, "/")
	if !ok {
		a := Account(what)
		s.names[a.String()] = part
		return a[:], nil
	}
	w := Word(name)
	switch what {
	case "tx":
		id, ok := s.ids[name]
		if !ok {
			return nil, fmt.Errorf("no transaction is called %s", name)
		}
		return id[:], nil
	case "keyid":
		id := Public(name).ID()
		return id[:], nil
	case "hash", "bytes":
		return w[:], nil
	case "id":
		return w[:16], nil
	}
	return nil, fmt.Errorf("%s: unknown word", part)
}

// diagnostic reads the part of CBOR's diagnostic notation that arguments are
// written in, {1: @alice, 2: 5, 3: "text", 4: true}, and makes canonical CBOR.
func (s *story) diagnostic(text string) ([]byte, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
	body, end := strings.CutSuffix(body, "}")
	if !ok || !end {
		return nil, fmt.Errorf("%s: want {1: value, ...}", text)
	}
	m := map[uint64]any{}
	for field := range strings.SplitSeq(body, ",") {
		if strings.TrimSpace(field) == "" {
			continue
		}
		k, v, ok := strings.Cut(field, ":")
		key, err := strconv.ParseUint(strings.TrimSpace(k), 10, 64)
		if !ok || err != nil {
			return nil, fmt.Errorf("%s: want {1: value, ...}", text)
		}
		if m[key], err = s.value(strings.TrimSpace(v)); err != nil {
			return nil, err
		}
	}
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, err
	}
	return mode.Marshal(m)
}

func (s *story) value(text string) (any, error) {
	switch {
	case strings.HasPrefix(text, "@now"):
		return s.now(strings.TrimPrefix(text, "@now"))
	case strings.HasPrefix(text, "@"):
		return s.bytes(text)
	case strings.HasPrefix(text, "h'"):
		return hex.DecodeString(strings.Trim(text[1:], "'"))
	case text == "true", text == "false":
		return text == "true", nil
	case strings.HasPrefix(text, `"`):
		return strconv.Unquote(text)
	}
	return strconv.ParseUint(text, 0, 64)
}

// fresh is a pointer to a new value of v's type.
func fresh(v any) any { return reflect.New(reflect.TypeOf(v)).Interface() }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
