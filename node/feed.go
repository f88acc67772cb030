package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"salus/config"
	"salus/gateway"
	"salus/gateway/balp"
	"salus/hl7"
	"salus/hl7/feed"
	"salus/hl7/mllp"
	"salus/hl7/tofhir"
	"salus/seal"
	"salus/store"
)

// Bounds of feeds. A message of feedMessage bytes fits into a record when it is kept in base64.
const (
	feedMessage     = 10 << 20
	feedConnections = 16
	feedIdle        = time.Hour
	feedTime        = 30 * time.Second // to send or receive a message, and to wait for its answer
	feedRetry       = 5 * time.Second  // between two tries of what could not be applied
	feedTries       = 5
	feedMaxWait     = time.Minute
)

// A feedPart are the HL7 v2 feeds of a node (docs/hl7v2.md). It is a gateway.Feeds.
type feedPart struct {
	log   *slog.Logger
	feeds []*mllpFeed
	store *store.Store
	event func(context.Context, balp.Event) error

	intents *intents
}

// An mllpFeed is one of them: in or out is set.
type mllpFeed struct {
	conf config.Feed
	log  *slog.Logger
	in   *feed.Inbound
	out  *feed.Outbound
	pub  *publisher   // nil of one that publishes nothing
	ln   net.Listener // nil of one that is off or sends
	tls  *tls.Config  // nil of a plain one

	// making is held from where the contents of a message that is to be sent are read until it is in the queue: what is
	// erased meanwhile is found there.
	making sync.Mutex

	failed atomic.Bool // its journal or listener: a restart opens it again
}

// openFeeds opens the journals and listeners. Nothing is served before run.
func (n *Node) openFeeds(keys *keys) error {
	if err := checkFeedDirs(n.cfg); err != nil {
		return err
	}
	p := &feedPart{log: n.log, store: n.fhir.store, event: n.fhir.event}
	n.feeds = p
	var err error
	if p.intents, err = n.openIntents(keys); err != nil {
		return err
	}
	var turn sync.Mutex
	for _, c := range n.cfg.Feeds {
		if err := n.openFeed(p, keys, c, &turn); err != nil {
			return fmt.Errorf("node: feed %s: %w", c.Name, err)
		}
	}
	for _, f := range p.feeds { // all of them are there: one may answer by another
		if f.conf.Listen == "" || f.conf.Off {
			continue
		}
		ln, err := net.Listen("tcp", f.conf.Listen)
		if err != nil {
			return fmt.Errorf("node: feed %s: listen: %w", f.conf.Name, err)
		}
		f.ln = ln
		n.onClose(closeListener(ln))
	}
	return nil
}

func (n *Node) openFeed(p *feedPart, keys *keys, c config.Feed, turn *sync.Mutex) (err error) {
	f := &mllpFeed{conf: c, log: n.log.With("feed", c.Name)}
	if !c.Plain {
		if f.tls, err = feedTLS(n.cfg, c); err != nil {
			return err
		}
	}
	dir, key := filepath.Join(n.cfg.Data("feeds"), c.Name), feedKey(keys, c.Name)
	if c.Send != "" {
		f.out, err = feed.OpenOutbound(feed.Destination{
			Dir: dir, Key: key, Dial: f.dial, Timeout: feedTime, Wait: time.Second, MaxWait: feedMaxWait, Tries: int(orElse(c.Tries, feedTries)),
			Now: time.Now, Log: f.log,
		})
		if err != nil {
			return err
		}
		n.onClose(f.out.Close)
		if len(c.Publish) > 0 {
			if f.pub, err = n.openPublisher(c, f); err != nil {
				return err
			}
		}
		p.feeds = append(p.feeds, f)
		return nil
	}
	w, err := n.feedWriter(keys, c, f.log, turn)
	if err != nil {
		return err
	}
	f.in, err = feed.Open(feed.Config{
		Dir: dir, Key: key, Apply: w.apply, Merge: w, Accepts: hl7.Accepts{Processing: orElse(c.Processing, "P")}, Takes: takes(c.Types),
		Original: c.Original, Settled: w.settled, Room: n.space.room, Now: time.Now, Log: f.log, Answers: p.answers(c.Answers),
	})
	if err != nil {
		return err
	}
	n.onClose(f.in.Close)
	p.feeds = append(p.feeds, f)
	return nil
}

func orElse[T comparable](v, other T) T {
	var zero T
	if v == zero {
		return other
	}
	return v
}

// takes are the types of a configuration: those that are mapped, and of these what it names.
func takes(types []string) func(code, event string) bool {
	return func(code, event string) bool {
		return tofhir.Known(code, event) && (len(types) == 0 || slices.Contains(types, code) || slices.Contains(types, code+"^"+event))
	}
}

// answers sends application acknowledgements through another feed; nil does not.
func (p *feedPart) answers(name string) func(context.Context, []byte) error {
	if name == "" {
		return nil
	}
	return func(ctx context.Context, answer []byte) error {
		f, err := p.find(name)
		if err != nil {
			return err
		}
		_, err = f.out.Enqueue(ctx, answer)
		return err
	}
}

// feedTLS is the TLS of a feed. The certificate is read again for each connection, so that it can
// be renewed while the node runs.
func feedTLS(c *config.Config, f config.Feed) (*tls.Config, error) {
	load := func() (*tls.Certificate, error) {
		key := c.FeedFile(f.Key)
		if info, err := os.Stat(key); err != nil {
			return nil, fmt.Errorf("key: %w", err)
		} else if info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("key: %s can be read by others; set its mode to 0600", filepath.Base(key))
		}
		pair, err := tls.LoadX509KeyPair(c.FeedFile(f.Certificate), key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(c.FeedFile(f.Authority))
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("authority: the file holds no certificate")
	}
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, ClientCAs: pool, RootCAs: pool,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return load() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() },
	}
	if len(f.Clients) > 0 {
		t.VerifyConnection = func(s tls.ConnectionState) error {
			leaf := s.PeerCertificates[0]
			if slices.Contains(f.Clients, leaf.Subject.CommonName) || slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return slices.Contains(f.Clients, name) }) {
				return nil
			}
			return errFeedClient
		}
	}
	return t, nil
}

var errFeedClient = errors.New("node: the certificate's name is not one that this feed takes")

// dial connects to the receiver of a feed that sends.
func (f *mllpFeed) dial(ctx context.Context) (net.Conn, error) {
	if f.tls == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", f.conf.Send)
	}
	return (&tls.Dialer{Config: f.tls}).DialContext(ctx, "tcp", f.conf.Send)
}

// run serves and sends until ctx ends. A feed that fails stops alone: the node goes on.
func (p *feedPart) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.intents.run(ctx) })
	for _, f := range p.feeds {
		switch {
		case f.conf.Off:
		case f.out != nil:
			g.Go(func() error { return f.ended(ctx, f.out.Run(ctx)) })
			if f.pub != nil {
				g.Go(func() error { return f.ended(ctx, f.pub.run(ctx)) })
			}
		default:
			limits := mllp.Limits{
				Connections: int(orElse(f.conf.Connections, feedConnections)), Message: feedMessage, Idle: orElse(f.conf.Idle.Duration, feedIdle), Read: feedTime, Write: feedTime,
			}
			g.Go(func() error { return f.ended(ctx, f.in.Serve(ctx, f.ln, limits, f.tls)) })
			g.Go(func() error { return f.retry(ctx) })
		}
	}
	return g.Wait()
}

func (f *mllpFeed) ended(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		f.failed.Store(true)
		f.log.ErrorContext(ctx, "feed_stopped", "err", err)
	}
	return nil
}

// retry does again what could not be applied when it came.
func (f *mllpFeed) retry(ctx context.Context) error {
	t := time.NewTicker(feedRetry)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if f.in.Stats().Pending == 0 {
			continue
		}
		if err := f.in.Retry(ctx); errors.Is(err, feed.ErrFailed) {
			return f.ended(ctx, err)
		}
	}
}

// feedKey seals a feed's journal.
func feedKey(keys *keys, name string) [32]byte {
	return seal.Sum("feed", keys.store[:], []byte(name))
}

// checkFeeds reads the journals of a stopped node's feeds.
func checkFeeds(c *config.Config) (detail string, err error) {
	keys, err := loadKeys(c)
	if err != nil {
		return "", err
	}
	var messages uint64
	for _, f := range c.Feeds {
		n, err := feed.Check(filepath.Join(c.Data("feeds"), f.Name), feedKey(keys, f.Name))
		if messages += n; err != nil {
			return "", fmt.Errorf("feed %s: %w", f.Name, err)
		}
	}
	return fmt.Sprintf("%d feeds, %d messages", len(c.Feeds), messages), nil
}

// checkFeedDirs refuses a journal whose feed is gone from the configuration while messages wait in
// it: to lose them by a renaming would be silent.
func checkFeedDirs(c *config.Config) error {
	dirs, err := os.ReadDir(c.Data("feeds"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("node: feeds: %w", err)
	}
	for _, d := range dirs {
		if d.IsDir() && !slices.ContainsFunc(c.Feeds, func(f config.Feed) bool { return f.Name == d.Name() }) {
			return fmt.Errorf("node: feeds: %s has a journal and no [[feed]]: configure it with off = true, or move its folder out of %s", d.Name(), filepath.Join("data", "feeds"))
		}
	}
	return nil
}

func (p *feedPart) find(name string) (*mllpFeed, error) {
	i := slices.IndexFunc(p.feeds, func(f *mllpFeed) bool { return f.conf.Name == name })
	if i < 0 {
		return nil, gateway.ErrFeed
	}
	return p.feeds[i], nil
}

func (f *mllpFeed) stats() feed.Stats {
	if f.in != nil {
		return f.in.Stats()
	}
	return f.out.Stats()
}

func (f *mllpFeed) state(s feed.Stats) string {
	switch {
	case f.conf.Off:
		return "off"
	case f.failed.Load() || s.Failed:
		return "failed"
	}
	return "on"
}

// Describe implements prometheus.Collector.
func (p *feedPart) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(p, ch) }

// Collect implements prometheus.Collector: counts by feed, as the configuration names them.
func (p *feedPart) Collect(ch chan<- prometheus.Metric) {
	for _, f := range p.feeds {
		s, name := f.stats(), f.conf.Name
		for state, v := range map[string]uint64{"received": s.Received, "applied": s.Applied, "again": s.Again, "pending": s.Pending, "dead": s.Letters} {
			ch <- prometheus.MustNewConstMetric(feedMessages, prometheus.GaugeValue, float64(v), name, state)
		}
		age := 0.0
		if !s.Oldest.IsZero() {
			age = time.Since(s.Oldest).Seconds()
		}
		ch <- prometheus.MustNewConstMetric(feedOldest, prometheus.GaugeValue, age, name)
		up := 0.0
		if f.state(s) == "on" {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(feedUp, prometheus.GaugeValue, up, name)
	}
}

var (
	feedMessages = prometheus.NewDesc("salus_feed_messages", "HL7 v2 messages of a feed by what became of them.", []string{"feed", "state"}, nil)
	feedOldest   = prometheus.NewDesc("salus_feed_oldest_pending_seconds", "Age of the first message that waits; 0 if none does.", []string{"feed"}, nil)
	feedUp       = prometheus.NewDesc("salus_feed_up", "1 while a feed is served.", []string{"feed"}, nil)
)
