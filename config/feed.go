package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"salus/fhir"
	"salus/hl7/fromfhir"
)

// A Feed is one HL7 v2 feed over MLLP (docs/hl7v2.md): a listener that takes messages in, or a
// queue that sends them. Exactly one of Listen and Send is set.
type Feed struct {
	// Name is what the command line, metrics and identifiers call it: lower-case letters, digits
	// and dashes. It must stay: identifiers that the feed makes contain it.
	Name string `toml:"name"`
	// Off keeps its messages and does nothing with them: no listener, nothing sent.
	Off bool `toml:"off"`
	// Listen is the host:port that senders connect to.
	Listen string `toml:"listen"`
	// Send is the host:port of the receiver.
	Send string `toml:"send"`
	// Plain goes without TLS: for a network that is safe by other means.
	Plain bool `toml:"plain"`
	// Certificate is a PEM file with this side's certificate chain, in the node's home or absolute.
	Certificate string `toml:"certificate"`
	// Key is a PEM file with the certificate's private key, with mode 0600.
	Key string `toml:"key"`
	// Authority is a PEM file with the authorities, one of which must have issued the other side's
	// certificate.
	Authority string `toml:"authority"`
	// Clients are the names (common name or DNS name) that a sender's certificate may have; empty
	// takes all that the authorities issued.
	Clients []string `toml:"clients"`
	// Types are the messages that are taken, "ADT" or "ADT^A01"; empty takes all that are mapped.
	Types []string `toml:"types"`
	// Processing are the processing ids (MSH-11) that are taken, of "P", "D" and "T"; empty takes
	// production.
	Processing string `toml:"processing"`
	// Zone is that of times without an offset, e.g. "Europe/Berlin"; empty leaves them unknown:
	// such times are cut to their day.
	Zone string `toml:"zone"`
	// Authorities are the system URIs of assigning authorities, by namespace or universal id.
	Authorities map[string]string `toml:"authorities"`
	// CodeSystems are the URIs of coding systems, by the name that the sender uses.
	CodeSystems map[string]string `toml:"code_systems"`
	// Labels are security labels that every resource gets that the feed writes, as salus record
	// shows them, e.g. "R" or "PSY".
	Labels []string `toml:"labels"`
	// RawLabels are those of the message's own bytes; empty is "R". The bytes hold everything that
	// the message says, so that whoever reads them must be allowed all of it.
	RawLabels []string `toml:"raw_labels"`
	// Original ignores MSH-15 and MSH-16: every message gets one answer.
	Original bool `toml:"original"`
	// Answers names a feed that sends: application acknowledgements go there if the sender asked
	// for a commit acknowledgement too; empty does not send them.
	Answers string `toml:"answers"`
	// Proposer is the name of the practitioner's key in whose name a merge of two pseudonyms is proposed
	// when a message merges their Patients; empty proposes none.
	Proposer string `toml:"proposer"`
	// Connections are how many senders may be connected at once; 0 is 16.
	Connections int64 `toml:"connections"`
	// Idle is how long a connection may be silent; 0 is an hour.
	Idle Duration `toml:"idle"`
	// Publish are the messages that are made of what is written to the FHIR server and sent, "ADT" or
	// "ORU^R01"; empty makes none.
	Publish []string `toml:"publish"`
	// PublishLabels are the sensitivity labels that what is published may bear; empty publishes nothing
	// that is labelled sensitive.
	PublishLabels []string `toml:"publish_labels"`
	// PublishAttested says where the receiver attested that the law of a [[notice]] binds it, e.g. "agreement of
	// 2026-03-01"; without it no label that has a notice may be among publish_labels.
	PublishAttested string `toml:"publish_attested"`
	// PublishFrom are the feeds that listen whose messages are published again; empty publishes nothing
	// that came in by a feed, so that no message goes in a circle.
	PublishFrom []string `toml:"publish_from"`
	// Facility is who sends (MSH-4); empty is the node's name.
	Facility string `toml:"facility"`
	// Receiver is who receives (MSH-6); may be empty.
	Receiver string `toml:"receiver"`
	// Tries are how often a message is sent that the receiver answers with AE; 0 is 5.
	Tries int64 `toml:"tries"`
}

var (
	feedName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	feedType = regexp.MustCompile(`^[A-Z]{3}(\^[A-Z][0-9]{2})?$`)
)

// validateFeeds reports the first key of a feed that cannot work; taken are the addresses in use.
func (c *Config) validateFeeds() error {
	taken := map[string]string{c.Ledger.Listen: "ledger.listen", c.Ledger.RPC: "ledger.rpc", c.Peer.Listen: "peer.listen", c.Gateway.Listen: "gateway.listen"}
	named := map[string]*Feed{}
	for i := range c.Feeds {
		f := &c.Feeds[i]
		if !feedName.MatchString(f.Name) {
			return fmt.Errorf("config: feed: name: %q: use 1 to 32 lower-case letters, digits and dashes", f.Name)
		}
		if named[f.Name] != nil {
			return fmt.Errorf("config: feed %s: name: two feeds have it", f.Name)
		}
		named[f.Name] = f
		if err := f.validate(); err != nil {
			return fmt.Errorf("config: feed %s: %w", f.Name, err)
		}
		if f.Listen == "" || f.Off {
			continue
		}
		if other, ok := taken[f.Listen]; ok {
			return fmt.Errorf("config: feed %s: listen: the same address as %s", f.Name, other)
		}
		taken[f.Listen] = "feed " + f.Name
	}
	for _, f := range c.Feeds {
		if f.Answers != "" && (named[f.Answers] == nil || named[f.Answers].Send == "") {
			return fmt.Errorf("config: feed %s: answers: %q is no feed that sends", f.Name, f.Answers)
		}
		for _, from := range f.PublishFrom {
			if named[from] == nil || named[from].Listen == "" {
				return fmt.Errorf("config: feed %s: publish_from: %q is no feed that listens", f.Name, from)
			}
		}
	}
	return nil
}

func (f *Feed) validate() error {
	if (f.Listen == "") == (f.Send == "") {
		return errors.New("listen: say either listen or send")
	}
	if f.Listen != "" && !validAddress(f.Listen) {
		return errors.New("listen: want host:port")
	}
	if f.Send != "" && !validAddress(f.Send) {
		return errors.New("send: want host:port")
	}
	if err := f.validateTLS(); err != nil {
		return err
	}
	if f.Send != "" {
		if err := f.onlyIn(); err != nil {
			return err
		}
	} else if err := f.onlyOut(); err != nil {
		return err
	}
	if len(f.Publish) == 0 {
		if err := f.onlyPublishing(); err != nil {
			return err
		}
	}
	for _, t := range f.Publish {
		if !fromfhir.Known(t) {
			return fmt.Errorf("publish: %q is no message that is made; %s", t, strings.Join(fromfhir.Events(), ", "))
		}
	}
	for _, t := range f.Types {
		if !feedType.MatchString(t) {
			return fmt.Errorf("types: %q is neither as ADT nor as ADT^A01", t)
		}
	}
	for i := range len(f.Processing) {
		if p := f.Processing[i]; p != 'P' && p != 'D' && p != 'T' || strings.IndexByte(f.Processing[:i], p) >= 0 {
			return fmt.Errorf("processing: %q: use letters of P, D and T, each once", f.Processing)
		}
	}
	if _, err := f.Location(); err != nil {
		return err
	}
	for key, m := range map[string]map[string]string{"authorities": f.Authorities, "code_systems": f.CodeSystems} {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if u, err := url.Parse(m[name]); name == "" || err != nil || u.Scheme == "" || strings.ContainsAny(m[name], " \t\r\n|") {
				return fmt.Errorf("%s: %q is no URI", key, m[name])
			}
		}
	}
	for key, labels := range map[string][]string{"labels": f.Labels, "raw_labels": f.RawLabels, "publish_labels": f.PublishLabels} {
		for _, l := range labels {
			if !fhir.Label(l).Sensitive() {
				return fmt.Errorf("%s: %q is no sensitivity label", key, l)
			}
		}
	}
	if a := f.PublishAttested; a != "" && (len(a) > maxNotice || !utf8.ValidString(a) || !printable(a)) {
		return fmt.Errorf("publish_attested: use 1 to %d characters on one line", maxNotice)
	}
	if f.Connections < 0 || f.Connections > 1024 {
		return errors.New("connections: must be between 0 and 1024")
	}
	if d := f.Idle.Duration; d < 0 || d > 0 && d < time.Second {
		return errors.New("idle: must be 0 or at least 1s")
	}
	if f.Tries < 0 || f.Tries > 1000 {
		return errors.New("tries: must be between 0 and 1000")
	}
	return nil
}

func (f *Feed) validateTLS() error {
	given := f.Certificate != "" || f.Key != "" || f.Authority != "" || len(f.Clients) > 0
	switch {
	case f.Plain && given:
		return errors.New("plain: a feed without TLS has no certificate, key, authority or clients")
	case !f.Plain && (f.Certificate == "" || f.Key == "" || f.Authority == ""):
		return errors.New("certificate: TLS needs certificate, key and authority; plain = true goes without")
	case slices.Contains(f.Clients, ""):
		return errors.New("clients: a name is empty")
	}
	return nil
}

// onlyIn refuses on a feed that sends what is for feeds that take messages in.
func (f *Feed) onlyIn() error {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"clients", len(f.Clients) > 0},
		{"types", len(f.Types) > 0},
		{"processing", f.Processing != ""},
		{"zone", f.Zone != ""},
		{"labels", len(f.Labels) > 0},
		{"raw_labels", len(f.RawLabels) > 0},
		{"original", f.Original},
		{"answers", f.Answers != ""},
		{"proposer", f.Proposer != ""},
		{"connections", f.Connections != 0},
		{"idle", f.Idle.Duration != 0},
	} {
		if k.set {
			return fmt.Errorf("%s: is for feeds that listen", k.key)
		}
	}
	return nil
}

// onlyOut refuses on a feed that listens what is for feeds that send.
func (f *Feed) onlyOut() error {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"tries", f.Tries != 0},
		{"publish", len(f.Publish) > 0},
		{"publish_labels", len(f.PublishLabels) > 0},
		{"publish_attested", f.PublishAttested != ""},
		{"publish_from", len(f.PublishFrom) > 0},
		{"facility", f.Facility != ""},
		{"receiver", f.Receiver != ""},
	} {
		if k.set {
			return fmt.Errorf("%s: is for feeds that send", k.key)
		}
	}
	return nil
}

// onlyPublishing refuses on a feed that sends and publishes nothing what is for messages that are made.
func (f *Feed) onlyPublishing() error {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"authorities", f.Send != "" && len(f.Authorities) > 0},
		{"code_systems", f.Send != "" && len(f.CodeSystems) > 0},
		{"publish_labels", len(f.PublishLabels) > 0},
		{"publish_attested", f.PublishAttested != ""},
		{"publish_from", len(f.PublishFrom) > 0},
		{"facility", f.Facility != ""},
		{"receiver", f.Receiver != ""},
	} {
		if k.set {
			return fmt.Errorf("%s: is for feeds that listen, or publish", k.key)
		}
	}
	return nil
}

// Location is the feed's time zone, nil if none is set.
func (f *Feed) Location() (*time.Location, error) {
	if f.Zone == "" {
		return nil, nil //nolint:nilnil // no zone is a setting
	}
	if f.Zone == "Local" {
		return nil, errors.New("zone: name it: the machine's own may change")
	}
	z, err := time.LoadLocation(f.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone: %q is not known on this machine", f.Zone)
	}
	return z, nil
}

// FeedFile is a file that a feed names.
func (c *Config) FeedFile(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.Home, path)
}
