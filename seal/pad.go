package seal

import "math/bits"

// padStep is the finest bucket in bytes.
const padStep = 64

// padded returns the bucket of a record of size bytes: the smallest one that holds the
// record and its end mark. Buckets are 64 bytes apart up to 2 KiB; above, they follow
// Padmé (PURBs, PETS 2019, section 4), whose steps grow with the size so that at most
// 2·log log bits of the size show and at most a sixteenth is added.
func padded(size int) int {
	size++ // the end mark
	step := padStep
	e := bits.Len(uint(size)) - 1 // floor(log2 size)
	s := bits.Len(uint(e))        // floor(log2 e)+1, for e > 0
	if e > s {
		step = max(step, 1<<(e-s))
	}
	return (size + step - 1) / step * step
}

// pad appends the end mark 0x80 and zeros up to the bucket, as ISO/IEC 7816-4 does.
func pad(plain []byte) []byte {
	out := make([]byte, padded(len(plain)), padded(len(plain))+16) // room for the tag
	copy(out, plain)
	out[len(plain)] = 0x80
	return out
}

// unpad takes the padding off. It accepts only what pad makes: nothing hides behind a
// record, and a record has one padded form.
func unpad(b []byte) ([]byte, bool) {
	end := len(b)
	for end > 0 && b[end-1] == 0 {
		end--
	}
	if end == 0 || b[end-1] != 0x80 || padded(end-1) != len(b) {
		return nil, false
	}
	return b[: end-1 : end-1], true
}
