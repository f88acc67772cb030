package smart

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
)

// BenchmarkRequest is what every FHIR request pays: the token, and what it sees of 146 types.
func BenchmarkRequest(b *testing.B) {
	w := &world{at: noon}
	s, err := New(Config{Issuer: "https://node.example/oauth2", FHIR: "https://node.example/fhir", Keeper: NewMemory(), Now: w.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	secret := newSecret()
	t := &Token{Kind: ForPatient, User: "u", Patient: "p", Scopes: scopesOf(b, "openid launch/patient patient/*.rs patient/Observation.rs?category=laboratory"), Issued: noon, Expires: noon.Add(1 << 40)}
	if err := s.Keeper.Change(func(r Rows) error { return put(r, keyOf(rowToken, secret), t) }); err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, s.FHIR+"/Patient/p", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	types := make([]string, 146)
	for i := range types {
		types[i] = "Type" + string(rune('A'+i/26)) + string(rune('a'+i%26))
	}
	b.ReportAllocs()
	for b.Loop() {
		got, err := s.Authenticate(r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := got.Within(params{}, types...); err != nil {
			b.Fatal(err)
		}
	}
}
