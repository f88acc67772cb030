package devnet

import (
	"io"
	"net"
	"sync"
	"time"
)

// wire is one connection through a proxy.
type wire struct {
	wires    *Wires
	from, to string // who dialled whom
	in, out  net.Conn
	once     sync.Once
	gone     chan struct{} // closed by close
}

// chunk is some bytes and when they came.
type chunk struct {
	b  []byte
	at time.Time
}

// Bounds of what is under way in one direction.
const (
	chunkSize = 16 << 10
	chunks    = 64
)

func (c *wire) close() {
	c.once.Do(func() {
		close(c.gone)
		_ = c.in.Close()
		_ = c.out.Close()
	})
}

// run carries both directions until either side ends.
func (c *wire) run(there, back io.Writer) {
	var g sync.WaitGroup
	g.Go(func() { c.carry(c.out, c.in, c.from, c.to, there) })
	g.Go(func() { c.carry(c.in, c.out, c.to, c.from, back) })
	g.Wait()
}

// carry copies src to dst under the rules of the pair. An end of src closes the connection
// once what came before it is delivered.
func (c *wire) carry(dst io.Writer, src io.Reader, from, to string, tap io.Writer) {
	queue := make(chan chunk, chunks)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer c.close()
	reader.Go(func() {
		defer close(queue)
		for {
			b := make([]byte, chunkSize)
			n, err := src.Read(b)
			if n > 0 {
				select {
				case queue <- chunk{b[:n], time.Now()}:
				case <-c.gone:
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	var free time.Time // when the bandwidth allows the next chunk
	for k := range queue {
		for {
			r, change := c.wires.rule(from, to)
			wait, ok := r.wait(k, free)
			if ok {
				if r.rate > 0 {
					free = time.Now().Add(time.Duration(len(k.b)) * time.Second / time.Duration(r.rate))
				}
				break
			}
			if !c.pause(wait, change) {
				return
			}
		}
		if tap != nil {
			_, _ = tap.Write(k.b) // what a test does with it is no matter of the wire
		}
		if _, err := dst.Write(k.b); err != nil {
			return
		}
	}
}

// wait says whether a chunk may go now, or after how long to ask again: 0 is after a change.
func (r rule) wait(k chunk, free time.Time) (time.Duration, bool) {
	if r.stall {
		return 0, false
	}
	due := k.at.Add(r.delay)
	if r.rate > 0 && free.After(due) {
		due = free
	}
	left := time.Until(due)
	return left, left <= 0
}

// pause waits, and returns false when the connection is gone.
func (c *wire) pause(d time.Duration, change <-chan struct{}) bool {
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-after:
	case <-change:
	case <-c.gone:
		return false
	}
	return true
}
