package process

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"sync"
)

// Log keeps what a process prints; it can be read while the process runs.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Tail is the end of a log, for a message.
func Tail(s string) string {
	const most = 6000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

// FreePorts finds size ports in a row that nobody listens on, in [first, last), beginning with the block that
// start chooses, so that tests at the same time look in different places first.
func FreePorts(first, last, size, start int) (int, error) {
	count := (last - first) / size
	for i := range count {
		port := first + (start+i)%count*size
		if free(port, size) {
			return port, nil
		}
	}
	return 0, errors.New("process: no free block of ports")
}

func free(port, size int) bool {
	for i := range size {
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
		if err != nil || ln.Close() != nil {
			return false
		}
	}
	return true
}
