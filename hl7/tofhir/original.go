package tofhir

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

// MediaType is that of a message in its vertical bar encoding. HL7 (working group InM, 2008) proposed
// the name; it is not registered.
const MediaType = "application/hl7-v2"

// original keeps the bytes of the message as a DocumentReference (R4 10.4) of the patient, found by
// their SHA-256. It is source, not content: the Provenance names it as an entity.
func (c *mapping) original() {
	if c.o.Original == nil {
		return
	}
	hash := sha256.Sum256(c.o.Original)
	id := Identifier{c.o.Base + ":message-sha-256", hex.EncodeToString(hash[:])}
	x, _ := c.put("DocumentReference", "", id)
	x.entry.Create = true
	x.body["identifier"] = []any{object{"system": id.System, "value": id.Value}}
	x.body["status"], x.body["subject"] = "current", c.patient.ref()
	x.body["date"] = c.o.Recorded.UTC().Format("2006-01-02T15:04:05.999Z")
	x.body["type"] = object{"coding": []any{object{"system": tho + "v2-0003", "code": c.event}}, "text": "HL7 v2 message"}
	if c.encounter != nil {
		x.body["context"] = object{"encounter": []any{c.encounter.ref()}}
	}
	x.body["content"] = []any{object{"attachment": object{"contentType": MediaType, "data": base64.StdEncoding.EncodeToString(c.o.Original)}}}
	if len(c.o.Restrict) > 0 {
		var labels []any
		for _, l := range c.o.Restrict {
			labels = append(labels, object{"coding": []any{object{"system": l.System, "code": l.Value}}})
		}
		x.body["securityLabel"] = labels
	}
	c.kept = x
}
