package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/config"
	"salus/gateway"
	"salus/hl7"
	"salus/hl7/mllp"
	"salus/internal/devnet"
	"salus/record"
)

// An authority issues certificates of a test.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T, dir string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.key, a.cert = a.issue("Sample Authority", nil)
	a.write("ca.crt", "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *authority) issue(name string, by *authority) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(a.n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// certificate issues one and writes it; it returns the paths of certificate and key.
func (a *authority) certificate(name string) (cert, key string) {
	a.t.Helper()
	k, c := a.issue(name, a)
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(name+".crt", "CERTIFICATE", c.Raw), a.write(name+".key", "EC PRIVATE KEY", der)
}

// A sender speaks MLLP over TLS with a client certificate, as an interface engine does.
type sender struct {
	n    *network
	addr string
	tls  *tls.Config
	conn *mllp.Client
	ids  int
}

func (s *sender) hangUp() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

// try sends a message and returns MSA-1; an error means that it is not known what became of it.
func (s *sender) try(ctx context.Context, raw []byte) (string, error) {
	if s.conn == nil {
		c, err := (&tls.Dialer{Config: s.tls}).DialContext(ctx, "tcp", s.addr)
		if err != nil {
			return "", err
		}
		s.conn = mllp.NewClient(c, 16<<20)
	}
	m, err := hl7.Parse(raw)
	if err != nil {
		return "", err
	}
	a, err := s.conn.Send(ctx, m)
	if err != nil {
		s.hangUp()
		return "", err
	}
	return a.Get("MSA-1").Plain(), nil
}

// send sends a message and wants that code.
func (s *sender) send(want string, raw []byte) {
	s.n.t.Helper()
	ctx, cancel := context.WithTimeout(s.n.t.Context(), patience)
	defer cancel()
	got, err := s.try(ctx, raw)
	if err != nil || got != want {
		s.n.t.Fatalf("%.80q: got %q, %v, want %s", raw, got, err, want)
	}
}

func (s *sender) v2(kind string, lines ...string) []byte {
	s.ids++
	head := fmt.Sprintf(`MSH|^~\&|ENGINE|FAC|SALUS|NODE|20260102030405+0000||%s|E%d|P|2.5.1`, kind, s.ids)
	return []byte(strings.Join(append([]string{head, "EVN||20260102030405"}, lines...), "\r") + "\r")
}

// fhir searches with the operator's token and these headers.
func (n *network) fhir(org, path string, header http.Header) (out []map[string]any) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	if header == nil {
		header = http.Header{}
	}
	r, err := n.api(org).DoWith(ctx, http.MethodGet, "/fhir/"+path, header, nil)
	if err != nil {
		n.t.Fatalf("%s: %s: %v", org, path, err)
	}
	defer r.Body.Close()
	var b struct {
		Entry []struct{ Resource map[string]any }
	}
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		n.t.Fatal(err)
	}
	for _, e := range b.Entry {
		out = append(out, e.Resource)
	}
	return out
}

func idOf(r map[string]any) string { s, _ := r["id"].(string); return s }

func versionOf(r map[string]any) string {
	meta, _ := r["meta"].(map[string]any)
	s, _ := meta["versionId"].(string)
	return s
}

const (
	ann  = "PID|1||S1^^^FAC^MR||Example^Ann||19800102|F|||1 Sample Street^^Town"
	bob  = "PID|1||S2^^^FAC^MR||Example^Bob||19700304|M"
	stay = "PV1|1|I|||||||||||||||||V1^^^FAC"
)

// TestFeedsOfAHospitalReachItsRecordsAndTheNetwork: four organisations, an interface engine that
// sends over MLLP with TLS, a node that is killed while it receives, and a clinic that reads what
// came in.
func TestFeedsOfAHospitalReachItsRecordsAndTheNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes, one killed and restarted")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	n := newNetwork(t, "{}")
	ca := newAuthority(t, n.home("hospital"))
	cert, key := ca.certificate("node")
	conf, err := devnet.LoadConfig(filepath.Dir(n.home("hospital")), "hospital")
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return net.JoinHostPort("127.0.0.1", fmt.Sprint(n.Port+50+i)) }
	conf.Feeds = []config.Feed{
		{
			Name: "engine", Listen: at(0), Certificate: filepath.Base(cert), Key: filepath.Base(key), Authority: "ca.crt", Clients: []string{"engine"},
			Types: []string{"ADT", "ORU"}, Processing: "PT", Zone: "UTC", Authorities: map[string]string{"FAC": "urn:sample:mrn"},
		},
		{Name: "registry", Send: at(1), Certificate: filepath.Base(cert), Key: filepath.Base(key), Authority: "ca.crt", Tries: 3},
	}
	if err := conf.Save(); err != nil {
		t.Fatal(err)
	}
	n.start(orgs...)
	n.ready(orgs...)
	n.enlist()

	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	client := func(issuer *authority, name string) *tls.Config {
		c, k := issuer.certificate(name)
		pair, err := tls.LoadX509KeyPair(c, k)
		if err != nil {
			t.Fatal(err)
		}
		return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	s := &sender{n: n, addr: at(0), tls: client(ca, "engine")}
	defer s.hangUp()

	t.Log("only the engine's certificate is served")
	for name, conf := range map[string]*tls.Config{
		"another name": client(ca, "stranger"), "another authority": client(newAuthority(t, t.TempDir()), "engine"), "none": {RootCAs: pool, MinVersion: tls.VersionTLS12},
	} {
		stranger := &sender{n: n, addr: at(0), tls: conf}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if code, err := stranger.try(ctx, s.v2("ADT^A01^ADT_A01", ann, stay)); err == nil {
			t.Errorf("a client with %s was answered %s", name, code)
		}
		cancel()
	}

	t.Log("admit, update, report")
	s.send("AA", s.v2("ADT^A01^ADT_A01", ann, stay))
	s.send("AA", s.v2("ADT^A08^ADT_A01", strings.Replace(ann, "Example^Ann", "Sample^Ann", 1), stay))
	oru := func(i int) []byte {
		return s.v2("ORU^R01^ORU_R01", strings.Replace(ann, "Example^Ann", "Sample^Ann", 1), fmt.Sprintf("OBR|1|P%d^LAB|F%d^LAB|24323-8^Panel^LN|||202601020300", i, i),
			fmt.Sprintf("OBX|1|NM|2345-7^Glucose^LN||%d|mg/dL^^UCUM|||||F", 90+i))
	}
	s.send("AA", oru(0))
	vxu := s.v2("VXU^V04^VXU_V04", ann, "ORC|RE|P2^CLINIC|F2^CLINIC", "RXA|0|1|20260102||141^Influenza^CVX|0.5|mL^^UCUM||||||||||||CP")
	s.send("AR", vxu) // not among the types of the feed
	broken := s.v2("ADT^A01^ADT_A01", "PID|1||||Example^Ann")
	s.send("AE", broken)
	patients := n.fhir("hospital", "Patient?identifier="+url.QueryEscape("urn:sample:mrn|S1"), nil)
	if len(patients) != 1 {
		t.Fatalf("got %d patients, want 1", len(patients))
	}
	id, before := idOf(patients[0]), versionOf(patients[0])
	about := "patient=Patient/" + id + "&_count=200"

	t.Log("the node is killed while messages come in; what was not acknowledged is sent again")
	const reports = 24
	acknowledged := 0
	for i, kills := 1, 0; i <= reports; i++ {
		raw := oru(i)
		// The kill comes at another moment of each message's life.
		killed := make(chan struct{})
		if i%4 == 0 {
			after := time.Duration(kills) * 1500 * time.Microsecond
			kills++
			go func() {
				defer close(killed)
				wait := time.NewTimer(after)
				defer wait.Stop()
				<-wait.C
				_ = n.Kill("hospital")
			}()
		} else {
			close(killed)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		code, err := s.try(ctx, raw)
		cancel()
		<-killed
		if i%4 == 0 {
			s.hangUp()
			n.start("hospital")
			n.alive("hospital")
			if err == nil {
				acknowledged++
			}
		}
		if err == nil && code != "AA" {
			t.Fatalf("report %d: got %s", i, code)
		}
		if err != nil || i%3 == 0 { // also what was acknowledged may come again
			s.send("AA", raw)
		}
	}
	n.ready("hospital")
	t.Logf("%d of %d messages were acknowledged before the kill", acknowledged, reports/4)
	observations := n.fhir("hospital", "Observation?"+about, nil)
	if len(observations) != reports+1 {
		t.Errorf("got %d observations, want %d", len(observations), reports+1)
	}
	for _, o := range observations {
		if versionOf(o) != "1" {
			t.Errorf("an observation was written %s times", versionOf(o))
		}
	}
	raws := 0
	var kept string
	for _, d := range n.fhir("hospital", "DocumentReference?"+about, nil) {
		b, _ := json.Marshal(d)
		if bytes.Contains(b, []byte("application/hl7-v2")) {
			raws++
			kept = idOf(d)
		}
	}
	if raws != reports+3 {
		t.Errorf("got %d messages kept, want %d", raws, reports+3)
	}
	if got := versionOf(n.fhir("hospital", "Patient?identifier="+url.QueryEscape("urn:sample:mrn|S1"), nil)[0]); got != before {
		t.Errorf("the patient is at version %s, want %s: nothing new was said of her", got, before)
	}
	var feeds []gateway.Feed
	n.runJSON("hospital", &feeds, "feed", "list")
	if f := feeds[0]; f.Received != reports+5 || f.Applied != reports+3 || f.Dead != 2 || f.Pending != 0 {
		t.Errorf("got %+v", f)
	}

	t.Log("a dead letter is done after the configuration is put right")
	var letters []gateway.Letter
	n.runJSON("hospital", &letters, "feed", "dead", "engine")
	if len(letters) != 2 || letters[0].Reason != "hl7-event" || letters[1].Reason != "hl7-required" {
		t.Fatalf("got %+v", letters)
	}
	number := fmt.Sprint(letters[0].Number)
	n.run("hospital", 1, "feed", "replay", "engine", number)
	s.hangUp()
	n.interrupt("hospital")
	conf.Feeds[0].Types = nil
	if err := conf.Save(); err != nil {
		t.Fatal(err)
	}
	n.start("hospital")
	n.ready("hospital")
	n.run("hospital", 0, "feed", "replay", "engine", number)
	n.run("hospital", 0, "feed", "discard", "engine", fmt.Sprint(letters[1].Number))
	s.send("AA", vxu)
	if got := len(n.fhir("hospital", "Immunization?"+about, nil)); got != 1 {
		t.Errorf("got %d immunizations, want 1", got)
	}

	t.Log("merge and undo")
	s.send("AA", s.v2("ADT^A28^ADT_A05", bob))
	other := "Patient?identifier=" + url.QueryEscape("urn:sample:mrn|S2")
	was := n.fhir("hospital", other, nil)[0]
	sampleAnn := strings.Replace(ann, "Example^Ann", "Sample^Ann", 1)
	s.send("AA", s.v2("ADT^A40^ADT_A39", sampleAnn, "MRG|S2^^^FAC^MR"))
	if got := n.fhir("hospital", other, nil)[0]; fmt.Sprint(got["active"]) != "false" || !strings.Contains(fmt.Sprint(got["link"]), "Patient/"+id) {
		t.Errorf("after the merge: %v", got)
	}
	// On the ledger they stay two.
	n.two("hospital", "Patient/"+id, "Patient/"+idOf(was))
	s.send("AA", s.v2("ADT^A37^ADT_A37", sampleAnn, strings.Replace(bob, "PID|1", "PID|2", 1)))
	now := n.fhir("hospital", other, nil)[0]
	delete(was, "meta")
	delete(now, "meta")
	if fmt.Sprint(was) != fmt.Sprint(now) {
		t.Errorf("after the undo: got %v, want %v", now, was)
	}

	t.Log("the message itself is a record with a receipt, and the clinic reads by consent")
	pseudonym := n.two("hospital", "Patient/"+id, "Patient/"+idOf(was))
	n.allActive("hospital", pseudonym)
	receipt := n.receiptOf("hospital", "DocumentReference/"+kept)
	n.run("", 0, "verify", receipt, "--genesis", filepath.Join(n.home("insurer"), "genesis.json"))
	wallet := filepath.Join(n.Dir, "ann.wallet")
	n.run("hospital", 0, "identity", "claim", pseudonym, "--wallet", wallet)
	n.call("clinic", http.MethodPost, "/v1/patients/"+pseudonym+"/adopt", map[string]string{"reference": "Patient/c1"}, nil)
	doctor := http.Header{"Salus-As": {"clinic-doctor"}, "Salus-Purpose": {"TREAT"}}
	if got := n.fhir("clinic", "Observation?patient=Patient/c1", doctor); len(got) != 0 {
		t.Errorf("without consent the clinic sees %d observations", len(got))
	}
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic", "--without", "R")
	n.until("clinic", "the clinic reads what came by the feed", func() bool {
		return len(n.fhir("clinic", "Observation?patient=Patient/c1&_count=200", doctor)) == reports+1
	})
	// The messages say everything: who may not see what is restricted does not see them.
	if got := n.fhir("clinic", "DocumentReference?patient=Patient/c1", doctor); len(got) != 0 {
		t.Errorf("the clinic sees %d messages", len(got))
	}

	n.hospitalDay(s)

	t.Log("a message is sent, and waits for a receiver that is away, also over a kill")
	file := n.write("out.hl7", bytes.ReplaceAll(s.v2("ADT^A08^ADT_A01", sampleAnn), []byte("\r"), []byte("\n")))
	n.run("hospital", 1, "feed", "send", "registry", file)
	n.run("hospital", 0, "feed", "send", "registry", file, "--patient", "Patient/"+id)
	s.hangUp()
	n.kill("hospital")
	got := receive(t, ca, at(1))
	n.start("hospital")
	n.alive("hospital")
	select {
	case control := <-got:
		if control != fmt.Sprintf("E%d", s.ids) {
			t.Errorf("got message %s", control)
		}
	case <-time.After(patience):
		t.Fatal("nothing was sent")
	}
	n.ready("hospital")
	n.interrupt(orgs...)
	for _, org := range orgs {
		n.run(org, 0, "node", "fsck")
	}
}

// hospitalDay sends what a simulated hospital sent, if that is present.
func (n *network) hospitalDay(s *sender) {
	n.t.Helper()
	b, err := os.ReadFile("../../../shared/data/hl7v2/simhospital-captured/mllp-capture.hl7")
	if err != nil {
		n.t.Log("the captured messages of a simulated hospital are not here: left out")
		return
	}
	var before, after []gateway.Feed
	n.runJSON("hospital", &before, "feed", "list")
	count := 0
	for m := range bytes.SplitSeq(b, []byte("MSH|")) {
		if len(bytes.TrimSpace(m)) == 0 {
			continue
		}
		raw := append([]byte("MSH|"), bytes.ReplaceAll(bytes.Trim(m, "\r\n\x0b\x1c"), []byte("\n"), []byte("\r"))...)
		s.send("CA", append(raw, '\r')) // MSH-15 asks for commit acknowledgements alone
		count++
	}
	n.runJSON("hospital", &after, "feed", "list")
	if got := after[0].Applied - before[0].Applied; got != uint64(count) || after[0].Dead != before[0].Dead || after[0].Pending != 0 {
		n.t.Errorf("of %d messages %d were applied: %+v", count, got, after[0])
	}
	n.t.Logf("%d messages of a simulated hospital are applied", count)
	n.until("hospital", "all of them on the ledger", func() bool {
		var list []record.Patient
		n.call("hospital", http.MethodGet, "/v1/patients", nil, &list)
		return len(list) == len(n.fhir("hospital", "Patient?_count=200", nil))
	})
}

// two wants two patients to be two pseudonyms of an organisation's; it returns the first.
func (n *network) two(org, a, b string) string {
	n.t.Helper()
	names := map[string]string{}
	n.until(org, "both patients on the ledger", func() bool {
		var list []record.Patient
		n.call(org, http.MethodGet, "/v1/patients", nil, &list)
		for _, p := range list {
			names[p.Reference] = p.Patient.String()
		}
		return names[a] != "" && names[b] != ""
	})
	if names[a] == names[b] {
		n.t.Errorf("two patients go by one pseudonym")
	}
	return names[a]
}

// receiptOf waits until a resource is anchored and writes the receipt of its Provenance to a file.
func (n *network) receiptOf(org, ref string) string {
	n.t.Helper()
	var id string
	n.until(org, "a Provenance with a receipt", func() bool {
		for _, p := range n.fhir(org, "Provenance?target="+url.QueryEscape(ref)+"&_count=200", nil) {
			if strings.HasPrefix(idOf(p), "anchored-") {
				id = idOf(p)
			}
		}
		return id != ""
	})
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	r, err := n.api(org).Do(ctx, http.MethodGet, "/fhir/Provenance/"+id+"/$receipt", "", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return n.write("message.receipt", b)
}

// receive takes messages over TLS, as another organisation's engine does.
func receive(t *testing.T, ca *authority, addr string) <-chan string {
	t.Helper()
	c, k := ca.certificate("registry")
	pair, err := tls.LoadX509KeyPair(c, k)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	ln, err := tls.Listen("tcp", addr, &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 16)
	s, err := mllp.NewServer(func(_ context.Context, raw []byte) ([]byte, error) {
		m, err := hl7.Parse(raw)
		if err != nil {
			return nil, err
		}
		got <- m.ControlID()
		return hl7.BuildAck(m, hl7.Ack{Code: hl7.AA, Now: time.Now()}).Encode(), nil
	}, mllp.Limits{Connections: 4, Message: 1 << 20, Idle: time.Minute, Read: time.Minute, Write: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	return got
}
