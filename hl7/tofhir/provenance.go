package tofhir

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"strings"

	"salus/hl7"
)

// provenance says of everything in the Bundle which message it is from (N-13).
func (c *mapping) provenance() {
	msh := c.m.Segment("MSH")
	var targets []any
	for _, x := range c.list {
		if x != c.kept {
			targets = append(targets, x.ref())
		}
	}
	control := c.m.ControlID()
	hash := sha256.Sum256(c.m.Encode())
	d := c.derive("Provenance", control+"|"+hex.EncodeToString(hash[:]))
	name := c.first(msh, 4).t(1)
	if name == "" {
		name = c.first(msh, 3).t(1)
	}
	who := object{"display": "not stated"}
	if name != "" {
		v := c.first(msh, 4)
		x, fresh := c.put("Organization", name, Identifier{c.authority(v), name})
		if fresh {
			x.entry.Create = true
			x.body["name"], x.body["identifier"] = name, []any{object{"system": x.entry.Identifier.System, "value": name}}
		}
		who = x.ref()
	}
	agent := func(kind string, who object) object {
		return object{"type": object{"coding": []any{object{"system": tho + "provenance-participant-type", "code": kind}}}, "who": who}
	}
	agents := []any{agent("author", who), agent("assembler", object{"display": Version + " (" + Source + ", sha-256 " + Digest + ")"})}
	for _, s := range c.m.Segments("SFT") {
		if x := c.software(s); x != nil {
			agents = append(agents, agent("assembler", x.ref()))
		}
	}
	source := func(system, value string) object {
		return object{"role": "source", "what": object{"identifier": object{"system": system, "value": value}}}
	}
	entities := []any{source(c.o.Base+":message", control), source(c.o.Base+":message-sha-256", hex.EncodeToString(hash[:]))}
	if c.kept != nil {
		entities = append(entities, object{"role": "source", "what": c.kept.ref()})
	}
	if app := c.first(msh, 3).t(1); app != "" {
		entities = append(entities, object{"role": "source", "what": object{"display": app}})
	}
	p := object{
		"resourceType": "Provenance", "id2": hex.EncodeToString(d[:20]), "target": targets, "recorded": c.o.Recorded.UTC().Format("2006-01-02T15:04:05.999Z"),
		"agent": agents, "entity": entities, "activity": object{"coding": []any{object{"system": tho + "v2-0003", "code": c.event}}},
	}
	if t, ok := c.when(c.first(msh, 7), 1, "DTM"); ok {
		p["occurredDateTime"] = t
	}
	if evn := c.m.Segment("EVN"); evn.Exists() {
		c.use(evn, 1) // the event, as in MSH-9
		for _, v := range c.vals(evn, 5) {
			if ref, ok := c.convert("REF", v); ok {
				agents = append(agents, agent("enterer", ref.(object)))
				p["agent"] = agents
			}
		}
	}
	c.list = append(c.list, &resource{kind: "Provenance", url: "urn:uuid:" + uuid(d), body: p, entry: Entry{Type: "Provenance"}})
}

// software is the Device of an SFT: what the sender made, or changed, the message with; nil if the segment names none.
func (c *mapping) software(s hl7.SegmentRef) *resource {
	body := object{}
	c.rows(s, "Device", body)
	names, _ := body["deviceName"].([]any)
	if len(body) == 0 {
		return nil
	}
	for _, n := range names {
		n.(object)["type"] = "manufacturer-name"
	}
	var key strings.Builder
	for f := 1; f <= 4; f++ {
		key.WriteString(raw(s, f) + "|")
	}
	x, fresh := c.put("Device", key.String(), Identifier{})
	if fresh {
		x.entry.Create = true
		maps.Copy(x.body, body)
	}
	return x
}
