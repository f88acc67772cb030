package tx

// Account names a principal: a member, a practitioner, a device, or a patient's
// pseudonym. Its 16 bytes are random and say nothing about whom they name. Its
// text form is 26 characters of Crockford's base32 in lower case.
type Account [16]byte

const (
	accountText = 26
	crockford   = "0123456789abcdefghjkmnpqrstvwxyz"
)

// IsZero reports whether a is the zero account, which names nobody.
func (a Account) IsZero() bool { return a == Account{} }

// String returns the text form.
func (a Account) String() string {
	var t [accountText]byte
	a.text(&t)
	return string(t[:])
}

// text writes the 128 bits, preceded by two zero bits, five at a time.
func (a Account) text(t *[accountText]byte) {
	acc, bits, j := uint(0), uint(2), 0
	for _, b := range a {
		acc, bits = acc<<8|uint(b), bits+8
		for bits >= 5 {
			bits -= 5
			t[j] = crockford[acc>>bits&31]
			j++
		}
		acc &= 1<<bits - 1
	}
}

// ParseAccount reads the text form, and no other: no upper case, no letters
// that look alike, no hyphens. The error is CodeText.
func ParseAccount(s string) (Account, error) {
	var a Account
	if len(s) != accountText || s[0] > '7' {
		return a, errText
	}
	acc, bits, j := uint(0), uint(0), 0
	for i := range accountText {
		v, ok := crockfordValue(s[i])
		if !ok {
			return Account{}, errText
		}
		acc, bits = acc<<5|v, bits+5
		if i == 0 {
			bits = 3 // the first two bits are the zero ones
		}
		if bits >= 8 {
			bits -= 8
			a[j] = byte(acc >> bits)
			j++
			acc &= 1<<bits - 1
		}
	}
	return a, nil
}

func crockfordValue(c byte) (uint, bool) {
	for i := range len(crockford) {
		if crockford[i] == c {
			return uint(i), true
		}
	}
	return 0, false
}

// MarshalText implements encoding.TextMarshaler.
func (a Account) MarshalText() ([]byte, error) {
	var t [accountText]byte
	a.text(&t)
	return t[:], nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Account) UnmarshalText(b []byte) error {
	v, err := ParseAccount(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}
