package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"salus/fhir"
)

// TestNoPlaintextGoesBetweenMembers listens inside of TLS: to every question and answer between the
// members while a record is written, located, released and read. (package test/canary searches what
// lies on disks and goes over wires.)
func TestNoPlaintextGoesBetweenMembers(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	var secrets []string
	var rs []fhir.Resource
	for i := range 3 {
		secret := fmt.Sprintf("canary-%x", sha256.Sum256(fmt.Appendf(nil, "plaintext between members %d", i)))[:30]
		secrets = append(secrets, secret)
		rs = append(rs, observation(t, fmt.Sprintf("id%d", i), secret, []string{"PSY", "HIV", ""}[i]))
	}
	w.active(w.put(p.Patient, rs...)...)
	if got := w.read(p); len(got) != 0 {
		t.Fatalf("without a grant: got %d records", len(got))
	}
	w.grant(p)
	got := strings.Join(w.read(p), "")
	w.mu.Lock()
	heard := bytes.Clone(w.heard)
	w.mu.Unlock()
	for i, secret := range secrets {
		if !strings.Contains(got, secret) {
			t.Fatal("the reader did not read the canary: nothing is shown")
		}
		for form, b := range forms(secret, rs[i].Raw()) {
			if bytes.Contains(heard, b) {
				t.Errorf("canary %d went between members as %s", i, form)
			}
		}
	}
	for _, code := range []string{"Observation", "resourceType", "8867-4", "http://loinc.org", "v3-ActCode", "Patient/p"} {
		if bytes.Contains(heard, []byte(code)) {
			t.Errorf("%s went between members", code)
		}
	}
	if bytes.Contains(heard, p.Patient[:]) {
		t.Error("the pseudonym went between members outside of what is sealed to one of them")
	}
	// What must have been heard: batch headers, which name the chain, and ciphertext.
	if !bytes.Contains(heard, []byte(chainID)) || len(heard) < 4000 {
		t.Errorf("heard %d bytes without a batch header: the listening does not work", len(heard))
	}
}

// forms are how a secret could be written.
func forms(secret string, whole []byte) map[string][]byte {
	b := []byte(secret)
	sum := sha256.Sum256(whole)
	out := map[string][]byte{
		"text": b, "hex": []byte(hex.EncodeToString(b)), "upper case": bytes.ToUpper(b), "a bare hash": sum[:], "a bare hash in hex": []byte(hex.EncodeToString(sum[:])),
	}
	for shift := range 3 {
		enc := base64.RawStdEncoding.EncodeToString(append(bytes.Repeat([]byte{0}, shift), b...))
		out[fmt.Sprint("base64 at ", shift)] = []byte(enc[4 : len(enc)-4])
	}
	return out
}
