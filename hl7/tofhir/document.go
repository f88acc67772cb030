package tofhir

import (
	"encoding/base64"
	"strings"
	"time"

	"salus/hl7"
)

func (w *walker) txa(s hl7.SegmentRef) {
	key := w.m.ControlID()
	if raw(s, 12) != "" {
		key = raw(s, 12)
	}
	x, _ := w.put("DocumentReference", "TXA|"+w.patient.url+"|"+key, Identifier{})
	w.about(x, "subject")
	w.segment(s, x)
	x.body["status"] = "current"
	if v := w.first(s, 19); v.has(1) && v.t(1) != "AV" {
		v.drop(1)
	}
	if w.event == "T11" { // document cancel
		x.body["status"] = "entered-in-error"
	}
	if w.request != nil {
		set(x.body, "context.related*", w.request.ref())
	}
	w.document, w.noted = x, nil
}

// content adds an OBX of an MDM to its document: each is one attachment, titled as
// OBX-3 says.
func (w *walker) content(s hl7.SegmentRef) {
	kind := w.first(s, 2).t(1)
	for _, v := range w.vals(s, 5) {
		a, ok := object(nil), false
		if kind == "ED" {
			a, ok = w.attachment(v)
		}
		if !ok {
			text := said(v.whole())
			if text == "" {
				continue
			}
			a = object{"contentType": "text/plain; charset=utf-8", "data": base64.StdEncoding.EncodeToString([]byte(text))}
		}
		name := w.first(s, 3)
		title := name.t(2)
		if title == "" {
			title = name.t(1)
		}
		put(a, "title", title)
		set(w.document.body, "content*", object{"attachment": a})
	}
}

// attachment maps an ED whose data are base64 and decode.
func (w *walker) attachment(v val) (object, bool) {
	if !strings.EqualFold(strings.TrimSpace(w.decode(v.at, v.v.Component(4).Text)), "Base64") {
		return nil, false
	}
	data := strings.Join(strings.Fields(w.decode(v.at, v.v.Component(5).Text)), "")
	if b, err := base64.StdEncoding.DecodeString(data); err != nil || len(b) == 0 {
		return nil, false
	}
	v.t(4)
	v.t(5)
	a := object{"data": data, "contentType": "application/octet-stream"}
	kind, sub := strings.ToLower(v.t(2)), strings.ToLower(v.t(3))
	switch {
	case sub == "pdf":
		a["contentType"] = "application/pdf"
	case strings.Contains(kind, "/") && code(kind) != "":
		a["contentType"] = kind
	case kind != "" && sub != "" && (kind == "text" || kind == "image" || kind == "application" || kind == "audio"):
		a["contentType"] = kind + "/" + sub
	default:
		v.drop(2)
		v.drop(3)
	}
	return a, true
}

func (w *walker) sch(s hl7.SegmentRef) {
	key := raw(s, 2)
	if key == "" {
		key = raw(s, 1)
	}
	if key == "" {
		key = "message " + w.m.ControlID()
	}
	x, _ := w.put("Appointment", w.patient.url+"|"+key, Identifier{})
	x.body["participant"] = []any{object{"actor": w.patient.ref(), "status": "accepted"}}
	w.segment(s, x)
	x.body["status"] = map[string]string{"S15": "cancelled", "S16": "cancelled", "S17": "entered-in-error", "S26": "noshow"}[w.event]
	if x.body["status"] == "" {
		x.body["status"] = "booked"
		if t, ok := lookup("FillerStatusCodes[Appointment]", w.peek(s, 25)); ok {
			x.body["status"] = t.code
		}
	}
	tq := w.first(s, 11)
	w.span(x, tq, 4, tq, 5)
	w.appointment, w.noted = x, nil
}

// span sets start and end if both can be said.
func (w *walker) span(x *resource, from val, a int, to val, b int) {
	if !from.has(a) {
		return
	}
	start, ok := w.when(from, a, "INSTANT")
	if !ok {
		return
	}
	x.body["start"] = start
	if to.has(b) {
		if end, ok := w.when(to, b, "INSTANT"); ok {
			x.body["end"] = end
		}
	}
}

func (w *walker) resourceOf(s hl7.SegmentRef) {
	if w.appointment == nil {
		return
	}
	w.segment(s, w.appointment)
	if s.Name() == "AIS" && w.appointment.body["start"] == nil {
		v := w.first(s, 4)
		w.span(w.appointment, v, 1, v, 99)
	}
}

// finish fills in what FHIR requires once all segments are read.
func (w *walker) finish() {
	for _, x := range w.list {
		switch x.kind {
		case "DocumentReference":
			orElse(x.body, "content", []any{object{"attachment": object{"title": "content not sent"}}})
		case "Appointment":
			x.booked()
		}
	}
}

// booked gives an appointment the end that its duration tells, and a state that FHIR
// admits with the times it has: without both of them only some are (app-2, app-3).
func (x *resource) booked() {
	start, _ := x.body["start"].(string)
	if start != "" && x.body["end"] == nil {
		if t, err := time.Parse(time.RFC3339Nano, start); err == nil {
			if d, err := time.ParseDuration(str(x.body["minutesDuration"]) + "m"); err == nil && d > 0 {
				x.body["end"] = t.Add(d).Format("2006-01-02T15:04:05.999999999Z07:00")
			}
		}
	}
	if x.body["start"] == nil || x.body["end"] == nil {
		delete(x.body, "start")
		delete(x.body, "end")
		if x.body["status"] != "cancelled" {
			x.body["status"] = "proposed"
		}
	}
}

func str(v any) string {
	if s, ok := v.(interface{ String() string }); ok {
		return s.String()
	}
	return ""
}
