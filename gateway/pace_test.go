package gateway

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func dialled(t *testing.T, h http.HandlerFunc, send string) net.Conn {
	t.Helper()
	s := httptest.NewServer(pace{grace: 100 * time.Millisecond, rate: 1 << 10}.handler(h))
	t.Cleanup(s.Close)
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWhoNeverFinishesItsBodyIsHungUpOn whether or not anybody reads the body.
func TestWhoNeverFinishesItsBodyIsHungUpOn(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"read": func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err == nil {
				t.Error("the body was read to its end")
			}
			w.WriteHeader(http.StatusBadRequest)
		},
		"not read": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
	} {
		t.Run(name, func(t *testing.T) {
			c := dialled(t, h, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\na")
			if _, err := io.Copy(io.Discard, c); err != nil { // until the end, which the server makes
				t.Errorf("got %v, want the connection closed", err)
			}
		})
	}
}

// TestARefusalArrivesThoughTheBodyWasNotRead: a connection that is closed at once would be reset.
func TestARefusalArrivesThoughTheBodyWasNotRead(t *testing.T) {
	for range 20 {
		c := dialled(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
			"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("a", 100_000))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("got %v, want 401", err)
		}
		_ = res.Body.Close()
	}
}

// TestWhoTakesNoAnswerIsHungUpOn by an error of Write.
func TestWhoTakesNoAnswerIsHungUpOn(t *testing.T) {
	ended := make(chan error, 1)
	dialled(t, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	}, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if err := <-ended; err == nil {
		t.Error("64 MiB were written to somebody who reads nothing")
	}
}

// TestAServerThatWorksLongIsNotHeldAgainstItsClient: only waiting for the client counts.
func TestAServerThatWorksLongIsNotHeldAgainstItsClient(t *testing.T) {
	c := dialled(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-r.Context().Done():
			t.Error("the request ended while the server worked")
		}
		_, _ = w.Write(b) // checked at the other end
	}, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "ab" {
		t.Errorf("got %q, %v, want ab", b, err)
	}
}
