package smart

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPrivateAddressesAreNotPublic(t *testing.T) {
	for _, a := range []string{
		"127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::", "fe80::1", "fc00::1", "fd00:ec2::254",
		"224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
	} {
		if public(netip.MustParseAddr(a)) {
			t.Errorf("%s is taken for a public address", a)
		}
	}
	for _, a := range []string{"8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"} {
		if !public(netip.MustParseAddr(a)) {
			t.Errorf("%s is not taken for a public address", a)
		}
	}
}

func TestKeySetURLCannotReachInside(t *testing.T) {
	reached := false
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		_, _ = w.Write(keySetOf(t))
	}))
	defer inside.Close()
	k := keySets{http: outward(nil), now: time.Now}
	// By name too: what counts is where the connection goes.
	for _, u := range []string{inside.URL, strings.Replace(inside.URL, "127.0.0.1", "localhost", 1), strings.Replace(inside.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		if _, err := k.of(context.Background(), &Client{ID: u, JWKSURL: u}, "r"); !errors.Is(err, errPrivate) {
			t.Errorf("%s: got %v, want errPrivate", u, err)
		}
	}
	if reached {
		t.Error("the server inside was reached")
	}
	k.http = outward([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
	if set, err := k.of(context.Background(), &Client{ID: "c", JWKSURL: inside.URL}, "r"); err != nil || len(set.Keys) != 2 {
		t.Errorf("got %v for a network that is allowed", err)
	}
}

func TestKeySetsAreBoundedAndKeptNoLongerThanTheAppSays(t *testing.T) {
	now := noon
	asked := 0
	var answer func(w http.ResponseWriter)
	k := keySets{now: func() time.Time { return now }, http: &http.Client{
		Transport:     transport{"app.example": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked++; answer(w) })},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c := &Client{ID: "c", JWKSURL: "https://app.example/jwks"}
	get := func(kid string) error { _, err := k.of(context.Background(), c, kid); return err }
	want := func(n int, what string) {
		t.Helper()
		if asked != n {
			t.Errorf("%s: asked %d times, want %d", what, asked, n)
		}
	}
	answer = func(w http.ResponseWriter) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		_, _ = w.Write(keySetOf(t))
	}
	for range 3 {
		if err := get("r"); err != nil {
			t.Fatal(err)
		}
	}
	want(1, "kept")
	_ = get("rotated")
	want(1, "a kid that is unknown, at once")
	now = now.Add(31 * time.Second)
	_ = get("rotated")
	want(2, "a kid that is unknown, later")
	now = now.Add(61 * time.Second)
	_ = get("r")
	want(3, "older than max-age")
	answer = func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat(" ", maxJWKS+1))) }
	now = now.Add(2 * time.Minute)
	if get("r") == nil {
		t.Error("a key set without bounds is taken")
	}
	want(4, "too long")
	_ = get("r")
	want(4, "a failure is not repeated at once")
	for _, spoil := range []func(http.ResponseWriter){
		func(w http.ResponseWriter) { http.Error(w, "no", http.StatusNotFound) },
		func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://app.example/other")
			w.WriteHeader(http.StatusFound)
		},
		func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"keys":[{"kty":"oct","k":"AA","kid":"r"}]}`)) },
		func(w http.ResponseWriter) { _, _ = w.Write([]byte(`<html>`)) },
	} {
		answer = spoil
		now = now.Add(time.Minute)
		if get("r") == nil {
			t.Error("a spoiled key set is taken")
		}
	}
}

func TestKeepFor(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"": keysDefault, "no-store": 0, "max-age=10": 10 * time.Second, "max-age=999999999": keysMost, "private, no-cache": 0, "max-age=x": 0, "max-age=-1": 0,
	} {
		if got := keepFor(header); got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}
