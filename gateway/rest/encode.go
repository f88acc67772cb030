package rest

import (
	"encoding/json"
	"time"
)

// A bundle is a Bundle to send (R4 2.36).
type bundle struct {
	ResourceType string  `json:"resourceType"`
	Type         string  `json:"type"`
	Total        *int64  `json:"total,omitempty"`
	Link         []link  `json:"link,omitempty"`
	Entry        []entry `json:"entry,omitempty"`
}

type link struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

type entry struct {
	FullURL  string    `json:"fullUrl,omitempty"`
	Resource raw       `json:"resource,omitempty"`
	Search   *mode     `json:"search,omitempty"`
	Request  *request  `json:"request,omitempty"`
	Response *response `json:"response,omitempty"`
}

type mode struct {
	Mode string `json:"mode"`
}

type request struct {
	Method          string `json:"method"`
	URL             string `json:"url"`
	IfNoneMatch     string `json:"ifNoneMatch,omitempty"`
	IfModifiedSince string `json:"ifModifiedSince,omitempty"`
	IfMatch         string `json:"ifMatch,omitempty"`
	IfNoneExist     string `json:"ifNoneExist,omitempty"`
}

type response struct {
	Status       string `json:"status"`
	Location     string `json:"location,omitempty"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"lastModified,omitempty"`
	Outcome      raw    `json:"outcome,omitempty"`
}

func (b *bundle) link(relation, url string) { b.Link = append(b.Link, link{relation, url}) }

// encode writes the Bundle. Resources go in byte for byte: encoding/json would compact them and
// escape what it likes.
func (b *bundle) encode() []byte {
	b.ResourceType = "Bundle"
	entries := b.Entry
	b.Entry = nil
	out := must(b)
	b.Entry = entries
	if len(entries) == 0 {
		return out
	}
	out = append(out[:len(out)-1], `,"entry":[`...)
	for i := range entries {
		if i > 0 {
			out = append(out, ',')
		}
		e := entries[i]
		resource, outcome := e.Resource, raw(nil)
		e.Resource = nil
		if e.Response != nil && len(e.Response.Outcome) > 0 {
			r := *e.Response
			outcome, r.Outcome = r.Outcome, nil
			e.Response = &r
		}
		head := must(e)
		if len(outcome) > 0 { // response comes last
			head = append(append(append(head[:len(head)-2], `,"outcome":`...), outcome...), "}}"...)
		}
		if len(resource) > 0 {
			comma := ","
			if len(head) == 2 {
				comma = ""
			}
			out = append(append(append(append(out, `{"resource":`...), resource...), comma...), head[1:]...)
			continue
		}
		out = append(out, head...)
	}
	return append(out, "]}"...)
}

func must(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("rest: internal error: an answer does not encode")
	}
	return b
}

func milli(f float64) time.Time { return time.UnixMilli(int64(f)).UTC() }
