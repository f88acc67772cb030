package record

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// The vector of portal/src/claim/code.test.ts.
const codeVector = "000g-40r4-0m30-e209-185g-r38e-1yga-38n3-mjjt-d9x8-n6na-qb5d-ntqv-1cdj-petb-bdnq-q2wv-nexw-qpzb-zfa0"

func TestClaimCodesAreReadAsWritten(t *testing.T) {
	var c ClaimCode
	for i := range c.Patient {
		c.Patient[i] = byte(i)
	}
	for i := range 32 {
		c.Secret = append(c.Secret, byte(0xa0+i))
	}
	text, err := c.Text()
	if err != nil || text != codeVector {
		t.Fatalf("got %s, %v", text, err)
	}
	for _, typed := range []string{text, strings.ToUpper(text), strings.ReplaceAll(text, "-", " "), strings.ReplaceAll(text, "0", "o")} {
		got, err := ParseClaimCode(typed)
		if err != nil || got.Patient != c.Patient || !bytes.Equal(got.Secret, c.Secret) {
			t.Errorf("%s: got %v", typed, err)
		}
	}
	link, err := c.Link("https://portal.example.org")
	if err != nil || link != "https://portal.example.org/#/patient/claim/"+strings.ReplaceAll(text, "-", "") {
		t.Errorf("got %s, %v", link, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", "1" + text[1:], strings.Replace(text, "1", "2", 1), "u" + text[1:], strings.Repeat("é", 40)} {
		if _, err := ParseClaimCode(bad); !errors.Is(err, ErrCodeText) {
			t.Errorf("%s: got %v", bad, err)
		}
	}
	if _, err := (ClaimCode{Secret: c.Secret[:31]}).Text(); err == nil {
		t.Error("got a text of half a secret")
	}
}

func FuzzParseClaimCode(f *testing.F) {
	f.Add(codeVector)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseClaimCode(text)
		if err != nil {
			return
		}
		s, err := c.Text()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseClaimCode(s)
		if err != nil || again.Patient != c.Patient || !bytes.Equal(again.Secret, c.Secret) {
			t.Errorf("got %v", err)
		}
	})
}
