package hostile

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// smuggled is a request whose end two readers may see in different places. The second request
// in it must never be answered as one that came in its own right: it carries no authorisation, and
// deletes what does not exist.
func smuggled(r *rand.Rand, token string) *request {
	hidden := "DELETE /fhir/Patient/h1 HTTP/1.1\r\nHost: x\r\n\r\n"
	body := `{"resourceType":"Patient","id":"h1"}`
	head := "PUT /fhir/Patient/h1 HTTP/1.1\r\nHost: node.example\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/fhir+json\r\n"
	chunk := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	kinds := []struct{ name, raw string }{
		{"TE and CL", head + fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(chunk)+len(hidden)) + chunk + hidden},
		{"CL twice", head + fmt.Sprintf("Content-Length: %d\r\nContent-Length: %d\r\n\r\n", len(body), len(body)+len(hidden)) + body + hidden},
		{"CL list", head + fmt.Sprintf("Content-Length: %d, %d\r\n\r\n", len(body), len(body)) + body},
		{"CL sign", head + fmt.Sprintf("Content-Length: +%d\r\n\r\n", len(body)) + body},
		{"CL negative", head + "Content-Length: -1\r\n\r\n" + body},
		{"CL huge", head + "Content-Length: 99999999999999999999\r\n\r\n" + body},
		{"CL short", head + "Content-Length: 5\r\n\r\n" + body + hidden},
		{"CL long", head + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)+100) + body},
		{"TE unknown", head + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunk},
		{"TE twice", head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunk},
		{"TE hidden", head + "Transfer-Encoding : chunked\r\n\r\n" + chunk},
		{"TE folded", head + "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunk},
		{"chunk huge", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + body},
		{"chunk garbage", head + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + body},
		{"chunk extension", head + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x;%s\r\n%s\r\n0\r\n\r\n", len(body), strings.Repeat("a", 60000), body)},
		{"chunks of one", head + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\n \r\n", 20000) + "0\r\n\r\n"},
		{"trailer", head + "Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n" + strings.TrimSuffix(chunk, "\r\n") + "Authorization: Bearer x\r\n\r\n"},
		{"bare LF", strings.ReplaceAll(head, "\r\n", "\n") + fmt.Sprintf("Content-Length: %d\n\n", len(body)) + body},
		{"bare CR", strings.ReplaceAll(head, "\r\n", "\r") + "\r\r"},
		{"NUL", head + "X-A: a\x00b\r\n\r\n"},
		{"CRLF in a header", head + "X-A: a\r\n\r\n" + hidden},
		{"no host", strings.Replace(head, "Host: node.example\r\n", "", 1) + "\r\n"},
		{"two hosts", head + "Host: other\r\n\r\n"},
		{"HTTP/0.9", "GET /fhir/Patient/h1\r\n"},
		{"HTTP/3", strings.Replace(head, "HTTP/1.1", "HTTP/3.0", 1) + "\r\n"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		{"absolute", strings.Replace(head, "/fhir/", "http://other.example/fhir/", 1) + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)) + body},
		{"large header", head + "X-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n"},
		{"many headers", head + strings.Repeat("X-A: a\r\n", 8000) + "\r\n"},
		{"large address", "GET /fhir/Patient?_id=" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"expect", head + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body)) + body},
		{"expect what", head + "Expect: tea\r\nContent-Length: 0\r\n\r\n"},
		{"pipeline", strings.Repeat("GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n", 5)},
	}
	k := kinds[r.IntN(len(kinds))]
	return &request{name: "wire, " + k.name, raw: []byte(k.raw), wire: true, answers: 5}
}

// slow opens connections that never finish: some in the header, some in the body, some that send a
// byte now and then, some that read nothing. ended waits until the server has closed them all, and
// returns how many it left open.
func (w *world) slow(n int) (ended func() int) {
	w.t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := 0
	for i := range n {
		c, err := (&net.Dialer{}).DialContext(w.t.Context(), "tcp", w.config.Gateway.Listen)
		if err != nil {
			w.t.Fatal(err)
		}
		head := "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.token + "\r\nContent-Type: application/fhir+json\r\n"
		switch i % 4 {
		case 0:
			head = head[:20+i%40]
		case 1:
			head += "Content-Length: 1000\r\n\r\n{\"resource"
		case 2:
			head += "Transfer-Encoding: chunked\r\n\r\n5\r\n{"
		}
		if _, err := io.WriteString(c, head); err != nil {
			w.t.Fatal(err)
		}
		wg.Go(func() {
			defer c.Close()
			// It drips until the server has had enough.
			b := make([]byte, 1)
			last := time.Now().Add(patience)
			for time.Now().Before(last) {
				_ = c.SetReadDeadline(time.Now().Add(time.Second)) // an open connection takes it
				if _, err := c.Read(b); err != nil {
					if t, ok := err.(net.Error); !ok || !t.Timeout() {
						return
					}
				}
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			}
			mu.Lock()
			open++
			mu.Unlock()
		})
	}
	return func() int { wg.Wait(); return open }
}

// mllp sends garbage to the HL7 v2 feed: no end block, no start block, no segments, broken
// delimiters.
func (w *world) mllp(r *rand.Rand) {
	w.t.Helper()
	var wg sync.WaitGroup
	for range 24 {
		message := pick(r,
			"\x0bMSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.5\rPID|1||"+canary+"\r", // no end
			"MSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.5\r\x1c\r",                  // no start
			"\x0b\x1c\r", "\x0b\x0b\x0b", "\x1c\r\x1c\r", "\x0bMSH\x1c\r", "\x0bMSH||||||||\x1c\r",
			"\x0bMSH|^~\\&"+strings.Repeat("|", 100_000)+"\x1c\r",
			"\x0bMSH|^~\\&|A|B|C|D|20240101||ORU^R01|2|P|2.5\r"+strings.Repeat("OBX|1|NM|"+strings.Repeat("^", 500)+"\r", 500)+"\x1c\r",
			"\x0bMSH|^~\\&|A|B|C|D|20240101||ADT^A01|3|P|2.5||||||UTF-16\rPID|1||\xff\xfe\x00\r\x1c\r",
			"\x0bMSH|^~\\&|A|B|C|D|20240101||ADT^A40|4|P|2.5\rMRG|"+canary+"\r\x1c\r",
			"\x0b"+strings.Repeat("A", 1<<20), "GET / HTTP/1.1\r\n\r\n",
			"\x0bMSH|^~\\&|A|B|C|D|20240101||ADT^A01|5|P|2.5\rPID|||m1^^^EX||\\X\\X0\\Xzz\\"+canary+"\\\r\x1c\r",
		)
		wg.Go(func() {
			c, err := (&net.Dialer{Timeout: patience}).DialContext(w.t.Context(), "tcp", w.config.Feeds[0].Listen)
			if err != nil {
				w.t.Errorf("mllp: %v", err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(patience)) // an open connection takes it
			_, _ = io.WriteString(c, message)
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c) // an acknowledgement, or the end
		})
	}
	wg.Wait()
}
