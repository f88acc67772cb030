package subscription

import (
	"strings"
	"testing"
	"time"

	"salus/gateway/rest"
)

// FuzzSubscription: whatever a Subscription says, it is refused, or what it asks for is within what
// the operator allows.
func FuzzSubscription(f *testing.F) {
	s, err := Open(Config{
		Types: []string{"Observation", "Patient"}, Dir: f.TempDir(), Base: "http://example.org/fhir", TopicBase: "http://example.org/topic",
		Allow: []string{"https://hook.example.org/in"}, Now: time.Now,
	})
	if err != nil {
		f.Fatal(err)
	}
	s.Server = rest.New(rest.Config{Params: r4(), Types: s.Types, Now: time.Now})
	for _, at := range []string{"https://hook.example.org/in/x", "https://hook.example.org@evil.example/in", `https://hook.example.org\\@evil.example/in`, "//hook.example.org/in", "https://hook.example.org/in/..;/x", "HTTPS://HOOK.example.org/in?x=y"} {
		f.Add([]byte(plain("s", "Observation?code=x", `"type":"rest-hook","endpoint":"`+at+`","header":["A: b"]`)))
	}
	f.Add([]byte(topical("s", "observation-create", "Observation?code=x", "id-only", toHook+`,"extension":[{"url":"`+backport+`timeout","valueUnsignedInt":99999}]`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, bad := s.parse(b)
		if bad != nil {
			if bad.Code == "" || bad.Text == "" {
				t.Fatalf("an issue without code or text: %+v", bad)
			}
			return
		}
		if x.timeout > s.Timeout || x.timeout <= 0 || x.maxCount > s.MaxCount || x.maxCount < 1 || x.heartbeat != 0 && x.heartbeat < s.MinHeartbeat {
			t.Fatalf("out of bounds: %+v", x)
		}
		if x.channel == restHook && !strings.HasPrefix(strings.ToLower(x.endpoint), "https://hook.example.org/in") {
			t.Fatalf("allowed: %s", x.endpoint)
		}
		for _, name := range barred {
			if x.header.Get(name) != "" {
				t.Fatalf("header %s", name)
			}
		}
	})
}
