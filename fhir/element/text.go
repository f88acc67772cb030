package element

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// str reads the string at i and reports whether it is plain, that is without escapes.
func (p *parsing) str() (plain, ok bool) {
	b, i := p.b, p.i+1
	plain = true
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			stop := (w | (quote-ones)&^quote | (slash-ones)&^slash | (w-ones*' ')&^w) & highs
			if stop != 0 {
				i += bits.TrailingZeros64(stop) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			p.i = len(b)
			return plain, p.stop(CodeSyntax)
		}
		switch c := b[i]; {
		case c == '"':
			p.i = i + 1
			return plain, true
		case c == '\\':
			plain = false
			n, code := escape(b[i:])
			if code != "" {
				p.i = i
				return plain, p.stop(code)
			}
			i += n
		case c < ' ':
			p.i = i
			return plain, p.stop(CodeSyntax)
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				p.i = i
				return plain, p.stop(CodeUTF8)
			}
			i += n
		}
	}
}

// escape returns the length of the escape at the beginning of b, both halves of a
// surrogate pair together, or a code.
func escape(b []byte) (length int, code string) {
	if len(b) < 2 {
		return 0, CodeSyntax
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
	default:
		return 0, CodeSyntax
	}
	u, ok := hex4(b, 2)
	if !ok {
		return 0, CodeSyntax
	}
	if u < 0xd800 || u > 0xdfff {
		return 6, ""
	}
	if u < 0xdc00 && len(b) > 7 && b[6] == '\\' && b[7] == 'u' {
		if low, ok := hex4(b, 8); ok && low >= 0xdc00 && low <= 0xdfff {
			return 12, ""
		}
	}
	return 0, CodeSurrogate
}

func hex4(b []byte, i int) (u rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		u <<= 4
		switch {
		case c-'0' <= 9:
			u |= rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			u |= rune(c | 0x20 - 'a' + 10)
		default:
			return 0, false
		}
	}
	return u, true
}
