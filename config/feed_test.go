package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/tx"
)

func listening() Feed {
	return Feed{Name: "adt", Listen: "127.0.0.1:2575", Certificate: "feeds/adt.crt", Key: "feeds/adt.key", Authority: "feeds/ca.crt"}
}

func sending() Feed { return Feed{Name: "out", Send: "127.0.0.1:2576", Plain: true} }

func TestSavedFeedsLoadEqual(t *testing.T) {
	c := valid(t)
	f := listening()
	f.Clients, f.Types, f.Processing, f.Zone = []string{"engine"}, []string{"ADT^A01", "VXU"}, "PT", "Europe/Berlin"
	f.Authorities, f.CodeSystems = map[string]string{"FAC": "urn:oid:1.2.3"}, map[string]string{"99LOCAL": "https://codes.example.org/lab"}
	f.Labels, f.RawLabels, f.Answers, f.Connections, f.Idle = []string{"PSY"}, []string{"V"}, "out", 3, Duration{time.Minute}
	o := sending()
	o.Tries = 7
	o.Publish, o.PublishLabels, o.PublishFrom, o.Facility, o.Receiver = []string{"ADT", "ORU^R01"}, []string{"PSY"}, []string{"adt"}, "CLINIC", "LAB"
	o.PublishAttested = "agreement of 2026-03-01"
	o.Authorities, o.CodeSystems = map[string]string{"FAC": "urn:oid:1.2.3"}, map[string]string{"99LOCAL": "https://codes.example.org/lab"}
	c.Feeds = []Feed{f, o}
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(c.Home)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c.Feeds, got.Feeds); d != "" {
		t.Error(d)
	}
	if z, err := got.Feeds[0].Location(); err != nil || z.String() != "Europe/Berlin" {
		t.Errorf("got zone %v, %v", z, err)
	}
	if got := got.FeedFile("feeds/adt.key"); got != filepath.Join(c.Home, "feeds/adt.key") {
		t.Errorf("got %s", got)
	}
}

func TestEveryFeedThatCannotWorkIsRefusedByItsKey(t *testing.T) {
	for _, x := range []struct {
		want string
		make func(in, out *Feed)
	}{
		{`feed: name: ""`, func(in, _ *Feed) { in.Name = "" }},
		{`feed: name: "Lab"`, func(in, _ *Feed) { in.Name = "Lab" }},
		{`feed: name: "a/b"`, func(in, _ *Feed) { in.Name = "a/b" }},
		{"feed adt: name: two", func(_, out *Feed) { out.Name = "adt" }},
		{"feed adt: listen: say either", func(in, _ *Feed) { in.Listen = "" }},
		{"feed adt: listen: say either", func(in, _ *Feed) { in.Send = "a:1" }},
		{"feed adt: listen: want", func(in, _ *Feed) { in.Listen = "2575" }},
		{"feed adt: listen: the same address as gateway.listen", func(in, _ *Feed) { in.Listen = "127.0.0.1:8080" }},
		{"feed out: send: want", func(_, out *Feed) { out.Send = "x" }},
		{"feed adt: plain: ", func(in, _ *Feed) { in.Plain = true }},
		{"feed adt: certificate: ", func(in, _ *Feed) { in.Certificate = "" }},
		{"feed adt: certificate: ", func(in, _ *Feed) { in.Key = "" }},
		{"feed adt: certificate: ", func(in, _ *Feed) { in.Authority = "" }},
		{"feed adt: publish: is for", func(in, _ *Feed) { in.Publish = []string{"ADT"} }},
		{"feed adt: receiver: is for", func(in, _ *Feed) { in.Receiver = "LAB" }},
		{`feed out: publish: "ADT^A06"`, func(_, out *Feed) { out.Publish = []string{"ADT^A06"} }},
		{`feed out: publish: ""`, func(_, out *Feed) { out.Publish = []string{""} }},
		{"feed out: publish_labels: is for", func(_, out *Feed) { out.PublishLabels = []string{"R"} }},
		{"feed out: publish_attested: is for", func(_, out *Feed) { out.PublishAttested = "a" }},
		{"feed adt: publish_attested: is for", func(in, _ *Feed) { in.PublishAttested = "a" }},
		{`feed out: publish_labels: "N"`, func(_, out *Feed) { out.Publish, out.PublishLabels = []string{"ADT"}, []string{"N"} }},
		{"feed out: authorities: is for", func(_, out *Feed) { out.Authorities = map[string]string{"A": "urn:a"} }},
		{`feed out: publish_from: "out"`, func(_, out *Feed) { out.Publish, out.PublishFrom = []string{"ADT"}, []string{"out"} }},
		{"feed out: certificate: ", func(_, out *Feed) { out.Plain = false }},
		{"feed adt: clients: ", func(in, _ *Feed) { in.Clients = []string{""} }},
		{"feed adt: types: ", func(in, _ *Feed) { in.Types = []string{"ADT_A01"} }},
		{"feed adt: types: ", func(in, _ *Feed) { in.Types = []string{"*"} }},
		{"feed adt: processing: ", func(in, _ *Feed) { in.Processing = "X" }},
		{"feed adt: processing: ", func(in, _ *Feed) { in.Processing = "PP" }},
		{"feed adt: zone: ", func(in, _ *Feed) { in.Zone = "Europe/Atlantis" }},
		{"feed adt: zone: ", func(in, _ *Feed) { in.Zone = "Local" }},
		{"feed adt: authorities: ", func(in, _ *Feed) { in.Authorities = map[string]string{"FAC": "fac"} }},
		{"feed adt: authorities: ", func(in, _ *Feed) { in.Authorities = map[string]string{"FAC": "urn:a|b"} }},
		{"feed adt: authorities: ", func(in, _ *Feed) { in.Authorities = map[string]string{"": "urn:a"} }},
		{"feed adt: code_systems: ", func(in, _ *Feed) { in.CodeSystems = map[string]string{"L": "local codes"} }},
		{"feed adt: labels: ", func(in, _ *Feed) { in.Labels = []string{"laboratory"} }},
		{"feed adt: raw_labels: ", func(in, _ *Feed) { in.RawLabels = []string{"secret"} }},
		{"feed adt: answers: ", func(in, _ *Feed) { in.Answers = "nobody" }},
		{"feed adt: answers: ", func(in, _ *Feed) { in.Answers = "adt" }},
		{"feed adt: connections: ", func(in, _ *Feed) { in.Connections = -1 }},
		{"feed adt: idle: ", func(in, _ *Feed) { in.Idle.Duration = time.Millisecond }},
		{"feed adt: tries: ", func(in, _ *Feed) { in.Tries = 1 }},
		{"feed out: tries: ", func(_, out *Feed) { out.Tries = -1 }},
		{"feed out: zone: ", func(_, out *Feed) { out.Zone = "UTC" }},
		{"feed out: types: ", func(_, out *Feed) { out.Types = []string{"ADT"} }},
	} {
		c := valid(t)
		c.Feeds = []Feed{listening(), sending()}
		x.make(&c.Feeds[0], &c.Feeds[1])
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), "config: "+x.want) {
			t.Errorf("got %v, want %s", err, x.want)
		}
	}
	c := valid(t)
	c.Feeds = []Feed{listening(), sending()}
	if err := c.Validate(); err != nil {
		t.Errorf("good feeds: %v", err)
	}
	third := listening()
	third.Name = "lab"
	c.Feeds = append(c.Feeds, third)
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "feed lab: listen: the same address as feed adt") {
		t.Errorf("two feeds at one address: %v", err)
	}
	c.Feeds[2].Off = true
	if err := c.Validate(); err != nil {
		t.Errorf("one of them is off: %v", err)
	}
}

func TestAMisspeltKeyOfAFeedIsRefused(t *testing.T) {
	dir := t.TempDir()
	text := "member = \"" + tx.Account{1}.String() + "\"\nname = \"x\"\n[[feed]]\nname = \"adt\"\nlisten = \"127.0.0.1:2575\"\nplane = true\n"
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || err.Error() != `config: unknown key "feed.plane"` {
		t.Errorf("got %v", err)
	}
}
