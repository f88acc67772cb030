// Package tofhir maps HL7 v2 messages to FHIR R4 transaction Bundles by the tables
// of HL7's v2-to-FHIR implementation guide (repository HL7/v2-to-fhir, commit in
// Source), with maps of its own where HL7 has none (A03, A37, A40, DFT, MDM T11;
// docs/hl7v2-to-fhir.md).
//
// Its contract: the same message and Options give the same bytes. Every entry is
// a conditional update or a conditional create by an identifier, so that a message
// applied twice leaves what it left the first time. Every value of the message that
// went into no resource is listed in Result.Unmapped, down to the subcomponent:
// a value counts as mapped only if a map read it and could express it.
//
// A Bundle says what one message says. In HL7 v2 an absent field means "unchanged"
// (2.5.3): whoever applies an update to a resource that exists must lay it over the
// old one (Overlay) and take away the elements that Entry.Nulls names.
//
// The package must never put a value of a message into an error or a path, read a
// clock, or touch a store or the network.
package tofhir

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"salus/hl7"
)

// Options say for whom a message is mapped.
type Options struct {
	Base        string            // URI under which names without a URI are put, one for each feed: "urn:salus:feed:lab"
	Key         []byte            // at least 16 bytes, kept by the organisation: makes derived identifiers
	Zone        *time.Location    // of times that were sent without an offset; nil: unknown
	Recorded    time.Time         // Provenance.recorded: when the message was received
	Authorities map[string]string // assigning authority (namespace or universal id) to system URI
	CodeSystems map[string]string // name of a coding system as sent to its URI; goes before table 0396
	Original    []byte            // the message as received: it becomes a DocumentReference; nil: none is made
	Restrict    []Identifier      // security labels of that, by system and code: they must allow for all that a message can say
}

// A Result is a mapped message.
type Result struct {
	Bundle   []byte // transaction Bundle
	Entries  []Entry
	Unmapped []Path // values that are in no resource, in the order of the message
	Merge    *Merge // of A40 and A37, else nil
}

// An Entry says what the entry of the same index does.
type Entry struct {
	Type       string
	Identifier Identifier // by which the resource is found; zero of a Provenance
	Create     bool       // conditional create: one that exists is left as it is
	Nulls      []string   // elements to be taken away: the message sent ""
}

// An Identifier is a business identifier.
type Identifier struct{ System, Value string }

// inToken escapes what separates tokens (R4 3.1.1.4.0.1).
var inToken = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

// Token is the identifier as the value of a search parameter.
func (i Identifier) Token() string { return inToken.Replace(i.System) + "|" + inToken.Replace(i.Value) }

// A Merge says that a patient was kept under two identifiers (A40), or that the
// link between two is taken away (A37: Undo). Nothing of either is deleted.
type Merge struct {
	Survivor, Replaced Identifier
	Undo               bool
}

// A Path names a place in a message, as hl7.Message.Get reads it.
type Path = hl7.Path

// Errors.
var (
	ErrOptions = errors.New("tofhir: options need a base and a key of at least 16 bytes")
	// ErrPatients: one message, two patients. It is refused: never one patient's data under another.
	ErrPatients error = &hl7.Error{Code: "tofhir-patients", Segment: "PID", Condition: hl7.Cardinality}
)

type object = map[string]any

type resource struct {
	kind, url string // fullUrl
	body      object
	entry     Entry
	natural   bool // found by an identifier that the message itself gave
}

type mapping struct {
	m                  *hl7.Message
	o                  Options
	list               []*resource
	byKey              map[string]*resource
	count              map[string]int // of like things within the message
	read, lost         map[place]bool
	err                error
	patient, encounter *resource
	kept               *resource // the message's own bytes
	merge              *Merge
	code, event        string
}

// Known says whether messages of a code and trigger event are mapped.
func Known(code, event string) bool { return event != "" && mapped(code, event) }

// Map maps a message. An error is ErrOptions, or an *hl7.Error: two patients, not a
// message that is mapped, a required field missing, text outside the character set.
func Map(m *hl7.Message, o Options) (*Result, error) {
	if len(o.Key) < 16 || o.Base == "" {
		return nil, ErrOptions
	}
	c := &mapping{m: m, o: o, byKey: map[string]*resource{}, count: map[string]int{}, read: map[place]bool{}, lost: map[place]bool{}}
	c.code, c.event, _ = m.Type()
	if c.event == "" && c.code == "ORU" {
		c.event = "R01"
	}
	if !Known(c.code, c.event) {
		cond, code := hl7.UnsupportedEvent, hl7.CodeEvent
		if !mapped(c.code, "") {
			cond, code = hl7.UnsupportedMessage, hl7.CodeType
		}
		return nil, &hl7.Error{Code: code, Segment: "MSH", Index: 1, Field: 9, Condition: cond}
	}
	if id := c.decode(place{field: 10}, m.Segment("MSH").Field(10).Text); strings.TrimSpace(id) == "" && c.err == nil {
		return nil, &hl7.Error{Code: hl7.CodeRequired, Segment: "MSH", Index: 1, Field: 10, Condition: hl7.RequiredMissing}
	}
	if err := c.walk(); err != nil {
		return nil, err
	}
	c.original()
	c.provenance()
	if c.err != nil {
		return nil, c.err
	}
	return c.result()
}

func (c *mapping) result() (*Result, error) {
	r := &Result{Unmapped: c.unmapped(), Merge: c.merge}
	entries := make([]any, 0, len(c.list))
	for _, x := range c.list {
		req := object{"method": "PUT", "url": x.kind + "/" + x.body["id2"].(string)}
		if x.entry.Identifier != (Identifier{}) {
			q := "identifier=" + url.QueryEscape(x.entry.Identifier.Token())
			req = object{"method": "PUT", "url": x.kind + "?" + q}
			if x.entry.Create {
				req = object{"method": "POST", "url": x.kind, "ifNoneExist": q}
			}
		} else {
			x.body["id"] = x.body["id2"]
		}
		delete(x.body, "id2")
		r.Entries = append(r.Entries, x.entry)
		entries = append(entries, object{"fullUrl": x.url, "resource": x.body, "request": req})
	}
	b, err := json.Marshal(object{"resourceType": "Bundle", "type": "transaction", "entry": entries})
	r.Bundle = b
	return r, err
}

// derive makes an id that is stable for a thing and says nothing of it.
func (c *mapping) derive(kind, key string) [32]byte {
	h := hmac.New(sha256.New, c.o.Key)
	for _, s := range []string{c.o.Base, kind, key} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return [32]byte(h.Sum(nil))
}

func uuid(d [32]byte) string {
	d[6], d[8] = d[6]&0x0f|0x80, d[8]&0x3f|0x80 // version 8: custom (RFC 9562 5.8)
	x := hex.EncodeToString(d[:16])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// put adds a resource, or returns that which the message already gave under the
// key. With a natural identifier it is found by that, else by one derived from key.
func (c *mapping) put(kind, key string, natural Identifier) (*resource, bool) {
	if natural.Value != "" {
		key = natural.System + "|" + natural.Value
	}
	if x := c.byKey[kind+"|"+key]; x != nil {
		return x, false
	}
	d := c.derive(kind, key)
	x := &resource{kind: kind, url: "urn:uuid:" + uuid(d), body: object{"resourceType": kind, "id2": hex.EncodeToString(d[:20])}, natural: natural.Value != ""}
	x.entry = Entry{Type: kind, Identifier: natural}
	if natural.Value == "" {
		x.entry.Identifier = Identifier{c.o.Base + ":derived", hex.EncodeToString(d[:20])}
		x.body["identifier"] = []any{object{"system": x.entry.Identifier.System, "value": x.entry.Identifier.Value}}
	}
	c.byKey[kind+"|"+key] = x
	c.list = append(c.list, x)
	return x, true
}

func (x *resource) ref() object { return object{"reference": x.url} }

// ordinal numbers like things of one message, so that two OBX of the same code are two.
func (c *mapping) ordinal(key string) string {
	c.count[key]++
	return key + "#" + strconv.Itoa(c.count[key])
}

// Overlay lays an update over the resource that exists: elements of the update
// replace those of the old, elements named in nulls go, identifiers are joined, all
// others stay. Both are FHIR JSON of one type; id and meta are those of old.
func Overlay(old, update []byte, nulls []string) ([]byte, error) {
	var a, b map[string]json.RawMessage
	if err := json.Unmarshal(old, &a); err != nil {
		return nil, errors.New("tofhir: the old resource is not JSON")
	}
	if err := json.Unmarshal(update, &b); err != nil {
		return nil, errors.New("tofhir: the update is not JSON")
	}
	if string(a["resourceType"]) != string(b["resourceType"]) {
		return nil, errors.New("tofhir: two types of resource")
	}
	for _, n := range nulls {
		if head, rest, ok := strings.Cut(n, "."); ok {
			var in map[string]json.RawMessage
			if json.Unmarshal(a[head], &in) == nil && in != nil {
				delete(in, rest)
				a[head], _ = json.Marshal(in)
			}
			continue
		}
		delete(a, n)
		delete(a, "_"+n)
	}
	for k, v := range b {
		switch k {
		case "id", "meta":
			continue
		case "identifier":
			if joined, ok := join(a[k], v); ok {
				v = joined
			}
		}
		for _, other := range choices(k) { // deceasedBoolean gives way to deceasedDateTime, no value to a value (obs-6, obs-7)
			delete(a, other)
		}
		a[k] = v
	}
	return json.Marshal(a)
}

func choices(k string) []string {
	for _, set := range [][]string{
		{"deceasedBoolean", "deceasedDateTime"},
		{"multipleBirthBoolean", "multipleBirthInteger"},
		{"effectiveDateTime", "effectivePeriod"},
		{"valueQuantity", "valueCodeableConcept", "valueString", "valueDateTime", "valueRange", "valueRatio", "valueTime", "valuePeriod", "component", "dataAbsentReason"},
		{"occurrenceDateTime", "occurrenceString"},
	} {
		for i, s := range set {
			if s == k {
				return append(append([]string(nil), set[:i]...), set[i+1:]...)
			}
		}
	}
	return nil
}

// join adds to the identifiers of old those of update, in place where system and
// value are the same.
func join(old, update json.RawMessage) (json.RawMessage, bool) {
	var a, b []json.RawMessage
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(update, &b) != nil {
		return nil, false
	}
	key := func(r json.RawMessage) (k Identifier) { _ = json.Unmarshal(r, &k); return k }
next:
	for _, x := range b {
		for i := range a {
			if key(a[i]) == key(x) {
				a[i] = x
				continue next
			}
		}
		a = append(a, x)
	}
	out, err := json.Marshal(a)
	return out, err == nil
}
