package rest

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"salus/store"
)

// A member is one name and value of a JSON object, as places in its bytes.
type member struct {
	name             string
	start            int // of the name's quote
	valueAt, valueTo int
}

// members lists those of the object that begins at b[at], and where it ends. b is JSON that
// fhir.Parse has taken.
func members(b []byte, at int) (list []member, end int) {
	list = make([]member, 0, 16)
	end = scan(b, at, func(name []byte, m member) {
		m.name = string(name)
		list = append(list, m)
	})
	return list, end
}

// scan is members without their list: each is given with its name apart, for those who need few of them.
func scan(b []byte, at int, each func(name []byte, m member)) (end int) {
	i := skipSpace(b, at+1)
	for b[i] != '}' {
		if b[i] == ',' {
			i = skipSpace(b, i+1)
		}
		m := member{start: i}
		to := skipValue(b, i)
		name := b[i+1 : to-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = []byte(unquote(b[i:to]))
		}
		i = skipSpace(b, to) // at the colon
		m.valueAt = skipSpace(b, i+1)
		m.valueTo = skipValue(b, m.valueAt)
		each(name, m)
		i = skipSpace(b, m.valueTo)
	}
	return i + 1
}

func skipSpace(b []byte, i int) int {
	for b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r' {
		i++
	}
	return i
}

// skipValue returns the end of the value that begins at b[i].
func skipValue(b []byte, i int) int {
	switch b[i] {
	case '"':
		for i++; b[i] != '"'; i++ {
			if b[i] == '\\' {
				i++
			}
		}
		return i + 1
	case '{', '[':
		depth := 0
		for ; ; i++ {
			switch b[i] {
			case '"':
				i = skipValue(b, i) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	for i < len(b) && !bytes.ContainsRune([]byte(",]} \n\t\r"), rune(b[i])) {
		i++
	}
	return i
}

func unquote(b []byte) (s string) {
	if bytes.IndexByte(b, '\\') < 0 {
		return string(b[1 : len(b)-1])
	}
	if json.Unmarshal(b, &s) != nil {
		return "" // not of a parsed resource
	}
	return s
}

// An edit replaces b[from:to].
type edit struct {
	from, to int
	text     []byte
}

// apply makes edits, which are in order and do not overlap.
func apply(b []byte, edits []edit) []byte {
	n := len(b)
	for _, e := range edits {
		n += len(e.text) - (e.to - e.from)
	}
	out := make([]byte, 0, n)
	at := 0
	for _, e := range edits {
		out = append(append(out, b[at:e.from]...), e.text...)
		at = e.to
	}
	return append(out, b[at:]...)
}

// present is a version as it is read: the bytes as they were sent, with the server's id,
// meta.versionId and meta.lastUpdated in the places of the sender's, or after resourceType.
func present(v *store.Version) []byte {
	return splice(v.Body, v.ID, strconv.FormatInt(v.VID, 10), v.Updated.Format(instant))
}

// instant is how times are written: with milliseconds, as the store has them.
const instant = "2006-01-02T15:04:05.000Z07:00"

func splice(b []byte, id, version, updated string) []byte {
	var idAt, metaAt, typeAt member // a value begins behind a name: at 0 there is none
	scan(b, skipSpace(b, 0), func(name []byte, m member) {
		switch string(name) {
		case "id":
			idAt = m
		case "meta":
			metaAt = m
		case "resourceType":
			typeAt = m
		}
	})
	own := `"versionId":"` + version + `","lastUpdated":"` + updated + `"`
	edits := make([]edit, 0, 3)
	insert := make([]byte, 0, 192)
	if idAt.valueAt > 0 {
		edits = append(edits, edit{idAt.valueAt, idAt.valueTo, []byte(strconv.Quote(id))})
	} else {
		insert = strconv.AppendQuote(append(insert, `,"id":`...), id)
	}
	if metaAt.valueAt > 0 {
		edits = append(edits, edit{metaAt.valueAt, metaAt.valueTo, spliceMeta(b, metaAt.valueAt, own)})
	} else {
		insert = append(append(append(insert, `,"meta":{`...), own...), '}')
	}
	if len(insert) > 0 {
		edits = append(edits, edit{typeAt.valueTo, typeAt.valueTo, insert})
	}
	sortEdits(edits)
	return apply(b, edits)
}

// spliceMeta is the meta that begins at b[at] with the server's members in front.
func spliceMeta(b []byte, at int, own string) []byte {
	out := []byte("{" + own)
	scan(b, at, func(name []byte, m member) {
		switch string(name) {
		case "versionId", "lastUpdated", "_versionId", "_lastUpdated":
		default:
			out = append(append(out, ','), b[m.start:m.valueTo]...)
		}
	})
	return append(out, '}')
}

func sortEdits(edits []edit) {
	for i := 1; i < len(edits); i++ {
		for k := i; k > 0 && edits[k].from < edits[k-1].from; k-- {
			edits[k], edits[k-1] = edits[k-1], edits[k]
		}
	}
}

// etag is the version of a resource as HTTP has it (R4 3.1.0.1.2).
func etag(vid int64) string { return `W/"` + strconv.FormatInt(vid, 10) + `"` }

// httpDate is a time as in Last-Modified.
func httpDate(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") }
