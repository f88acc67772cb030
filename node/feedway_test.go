package node_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/config"
	"salus/hl7"
	"salus/hl7/mllp"
)

// A feed sends what it was given, in order, also after the node was stopped in between.
func TestFeedSendsAfterARestart(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		in := c.Feeds[0]
		_, port, _ := net.SplitHostPort(in.Listen)
		p, _ := strconv.Atoi(port)
		c.Feeds = append(c.Feeds, config.Feed{Name: "out", Send: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1)), Plain: true})
	})
	f.accepts(f.v2("ADT^A01^ADT_A01", ann, stay))
	id := at(f.one("Patient"), "id")
	for path, want := range map[string]string{
		"/v1/feeds/out/send":                      "feed-patient",
		"/v1/feeds/out/send?patient=Patient/none": "feed-patient",
		"/v1/feeds/out/send?patient=none":         "feed-patient",
	} {
		if got := f.problem(http.MethodPost, path, bytes.NewReader(f.v2("ADT^A01^ADT_A01", ann))); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got := f.problem(http.MethodPost, "/v1/feeds/out/send", strings.NewReader("none")); got != "hl7-no-header" {
		t.Errorf("got %q", got)
	}
	for _, raw := range [][]byte{f.v2("ADT^A01^ADT_A01", ann), f.v2("ADT^A08^ADT_A01", ann)} {
		if got := f.problem(http.MethodPost, "/v1/feeds/out/send?patient=Patient/"+id, bytes.NewReader(raw)); got != "" {
			t.Fatalf("got %q", got)
		}
	}
	want := fmt.Sprintf("M%d M%d", f.n-1, f.n)
	f.again()
	to := receive(t, f.conf.Feeds[1].Send)
	if s := to.next().ControlID() + " " + to.next().ControlID(); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	f.events(id, "feed out", 2)
	r, err := f.api.Do(t.Context(), http.MethodGet, "/fhir/AuditEvent/$accounting-of-disclosures?_format=csv&patient="+id, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	csv, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil || strings.Count(string(csv), "feed out") == 0 {
		t.Errorf("the accounting of disclosures does not name them: %s, %v", csv, err)
	}
}

// A feed, another feed and a client of the FHIR API write about the same patients at the same time:
// nobody is made twice, and what one wrote the others do not take away.
func TestFeedsAndClientsAtOnceLoseNothing(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		second := c.Feeds[0]
		_, port, _ := net.SplitHostPort(second.Listen)
		p, _ := strconv.Atoi(port)
		second.Name, second.Listen = "lab", net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1))
		c.Feeds = append(c.Feeds, second)
	})
	const patients, rounds = 10, 8
	var g errgroup.Group
	for i, conf := range f.conf.Feeds {
		g.Go(func() error {
			conn, err := net.Dial("tcp", conf.Listen)
			if err != nil {
				return err
			}
			c := mllp.NewClient(conn, 1<<20)
			defer c.Close()
			for round := range rounds {
				for p := range patients {
					// The one says the birth date, the other the sex.
					said := []string{fmt.Sprintf("|||198%d0102", round), "||||" + "FM"[round%2:round%2+1]}[i]
					m, err := hl7.Parse(v2("ADT^A08^ADT_A01", fmt.Sprintf("%s-%d-%d", conf.Name, round, p), fmt.Sprintf("PID|1||P%d^^^FAC^MR||Example^Ann%s", p, strings.TrimPrefix(said, "|"))))
					if err != nil {
						return err
					}
					a, err := c.Send(t.Context(), m)
					if err != nil {
						return err
					}
					if got := a.Get("MSA-1").Plain(); got != "AA" {
						return fmt.Errorf("%s: got %s", conf.Name, got)
					}
				}
			}
			return nil
		})
	}
	g.Go(func() error { // adds a telephone number in each round, as far as others let it
		for round := range rounds {
			for p := range patients {
				if err := f.addPhone(fmt.Sprintf("P%d", p), fmt.Sprintf("555-%d", round)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	for p := range patients {
		got := f.one("Patient", "identifier", fmt.Sprintf("urn:sample:mrn|P%d", p))
		phones, _ := got["telecom"].([]any)
		if at(got, "birthDate") != fmt.Sprintf("198%d-01-02", rounds-1) || at(got, "gender") != []string{"female", "male"}[(rounds-1)%2] || len(phones) != rounds {
			t.Errorf("got %v", got)
		}
	}
}

// addPhone makes a patient unless she is there, and then adds a number to her record, by the FHIR API.
func (f *feeding) addPhone(mrn, number string) error {
	for {
		body := fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"urn:sample:mrn","value":%q}]}`, mrn)
		r, err := f.api.DoWith(f.t.Context(), http.MethodPost, "/fhir/Patient", http.Header{
			"Content-Type": {"application/fhir+json"}, "If-None-Exist": {"identifier=urn:sample:mrn|" + mrn},
		}, strings.NewReader(body))
		if err != nil {
			return err
		}
		var p map[string]any
		err = errors.Join(json.NewDecoder(r.Body).Decode(&p), r.Body.Close())
		if err != nil {
			return err
		}
		phones, _ := p["telecom"].([]any)
		p["telecom"] = append(phones, map[string]any{"system": "phone", "value": number})
		b, err := json.Marshal(p)
		if err != nil {
			return err
		}
		r, err = f.api.DoWith(f.t.Context(), http.MethodPut, "/fhir/Patient/"+at(p, "id"), http.Header{
			"Content-Type": {"application/fhir+json"}, "If-Match": {fmt.Sprintf(`W/%q`, at(p, "meta.versionId"))},
		}, bytes.NewReader(b))
		if refused, ok := errors.AsType[*client.Problem](err); ok && refused.Status == http.StatusPreconditionFailed {
			continue
		}
		if err != nil {
			return err
		}
		return r.Body.Close()
	}
}

// N-11: who asked for both acknowledgements gets the commit on her connection and the other by the
// feed that is named for it.
func TestFeedAnswersByAnotherWayWhereThatIsAsked(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		_, port, _ := net.SplitHostPort(c.Feeds[0].Listen)
		p, _ := strconv.Atoi(port)
		c.Feeds[0].Answers = "back"
		c.Feeds = append(c.Feeds, config.Feed{Name: "back", Send: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1)), Plain: true})
	})
	ln, err := net.Listen("tcp", f.conf.Feeds[1].Send)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	both := bytes.Replace(f.v2("ADT^A01^ADT_A01", ann, stay), []byte("|P|2.5.1"), []byte("|P|2.5.1|||AL|AL"), 1)
	if got := f.send(both); got != "CA" {
		t.Fatalf("got %s, want CA", got)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	raw, err := mllp.NewReader(conn, 1<<20).Next()
	if err != nil {
		t.Fatal(err)
	}
	m, err := hl7.Parse(raw)
	if err != nil || m.Get("MSA-1").Plain() != "AA" || m.Get("MSA-2").Plain() != "M1" {
		t.Errorf("got %v", err)
	}
}
