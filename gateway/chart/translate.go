package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/ledger/tx"
)

// A translator puts another member's resources about one patient among one's own. Two members may
// both have an Observation/1, and each has its own Patient for the same person: so what comes from
// elsewhere gets an id of its own, references follow, and all that refers to their Patient refers
// to ours. Nothing else is changed: the author's exact bytes are in the record.
type translator struct {
	author tx.Account
	theirs string // the author's reference to the patient, "Patient/x"
	ours   string // ours
	// adopts: this organisation has no Patient of its own for her, so that theirs takes its place.
	adopts bool
	// notices go with what bears their labels.
	notices []fhir.Notice
}

// id is the id that a resource of the author's goes by here. It is the same at every member.
func (t *translator) id(typ, id string) string {
	if ref := typ + "/" + id; t.adopts && ref == t.theirs {
		return t.ours[len("Patient/"):]
	}
	return fmt.Sprintf("%x", short(t.author.String(), typ, id))
}

// relative is a reference within the author's server: what it names here may be another thing.
var relative = regexp.MustCompile(`^([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(/_history/[A-Za-z0-9.-]{1,64})?$`)

// reference is what a reference of the author's becomes; ok is false if it stays as it is.
func (t *translator) reference(ref string) (string, bool) {
	m := relative.FindStringSubmatch(ref)
	if m == nil {
		return "", false
	}
	if m[1]+"/"+m[2] == t.theirs {
		return t.ours, true // without a version: it would be one of theirs
	}
	return m[1] + "/" + t.id(m[1], m[2]) + m[3], true
}

var errTranslate = errors.New("chart: a record does not read as JSON")

// A splice replaces b[from:to].
type splice struct {
	from, to int
	text     string
}

// body is a resource with its references translated, meta.source naming the author's resource, and the notices that
// go with it in meta.security. What has no place for these is no resource here.
func (t *translator) body(r fhir.Resource) ([]byte, error) {
	w := walker{d: json.NewDecoder(bytes.NewReader(r.Raw())), raw: r.Raw(), t: t, source: strconv.Quote(systemMember + ":" + t.author.String() + "#" + r.Type() + "/" + r.ID())}
	w.d.UseNumber()
	if len(t.notices) > 0 {
		var codings []string
		for _, n := range fhir.NoticesFor(t.notices, fhir.LabelsOf(r)) {
			c, err := n.Coding()
			if err != nil {
				return nil, err
			}
			codings = append(codings, string(c))
		}
		w.security = strings.Join(codings, ",")
	}
	if _, err := w.d.Token(); err != nil {
		return nil, errTranslate
	}
	if err := w.object(0); err != nil {
		return nil, errTranslate
	}
	// What is added to meta stands before what is replaced in it, and is noted after.
	slices.SortStableFunc(w.splices, func(a, b splice) int { return a.from - b.from })
	out := make([]byte, 0, len(w.raw)+len(w.source)+len(w.security)+48)
	at := 0
	for _, s := range w.splices {
		out = append(append(out, w.raw[at:s.from]...), s.text...)
		at = s.to
	}
	return append(out, w.raw[at:]...), nil
}

// A walker reads a resource and notes what is to be replaced.
type walker struct {
	d        *json.Decoder
	raw      []byte
	t        *translator
	source   string
	security string // Codings that meta.security gets, with commas; "" for none
	splices  []splice
}

// object reads the members of an object whose brace has been read.
func (w *walker) object(depth int) error {
	meta := false
	begin := int(w.d.InputOffset())
	for w.d.More() {
		key, err := w.d.Token()
		if err != nil {
			return err
		}
		name, _ := key.(string)
		if depth == 0 && name == "meta" {
			meta = true
			if err := w.meta(); err != nil {
				return err
			}
			continue
		}
		if err := w.value(depth+1, name == "reference" || name == "url"); err != nil {
			return err
		}
	}
	if depth == 0 && !meta {
		sep := ","
		if begin == len(w.raw) || !bytes.ContainsRune(w.raw[begin:], ':') {
			sep = ""
		}
		text := `"source":` + w.source
		if w.security != "" {
			text += `,"security":[` + w.security + `]`
		}
		w.splices = append(w.splices, splice{begin, begin, `"meta":{` + text + `}` + sep})
	}
	_, err := w.d.Token()
	return err
}

// value reads one value. A string where a reference stands is translated.
func (w *walker) value(depth int, ref bool) error {
	tok, err := w.d.Token()
	if err != nil {
		return err
	}
	switch x := tok.(type) {
	case json.Delim:
		if x == '{' {
			return w.object(depth)
		}
		for w.d.More() {
			if err := w.value(depth+1, false); err != nil {
				return err
			}
		}
		_, err := w.d.Token()
		return err
	case string:
		if !ref {
			return nil
		}
		if to, ok := w.t.reference(x); ok {
			end := int(w.d.InputOffset())
			w.splices = append(w.splices, splice{w.opening(end), end, strconv.Quote(to)})
		}
	}
	return nil
}

// opening is where the string begins that ends before end: an escaped quote has an odd number of
// backslashes before it.
func (w *walker) opening(end int) int {
	for i := end - 2; i >= 0; i-- {
		if w.raw[i] != '"' {
			continue
		}
		n := 0
		for i-n-1 >= 0 && w.raw[i-n-1] == '\\' {
			n++
		}
		if n%2 == 0 {
			return i
		}
	}
	return 0
}

// meta reads resource.meta, has its source replaced or added, and the notices added to its security.
func (w *walker) meta() error {
	tok, err := w.d.Token()
	if err != nil {
		return err
	}
	if tok != json.Delim('{') {
		return errTranslate
	}
	begin := int(w.d.InputOffset())
	var add []string
	source, security, empty := false, w.security == "", true
	for w.d.More() {
		empty = false
		key, err := w.d.Token()
		if err != nil {
			return err
		}
		switch {
		case key == "source":
			source = true
			var old json.RawMessage
			if err := w.d.Decode(&old); err != nil {
				return err
			}
			end := int(w.d.InputOffset())
			w.splices = append(w.splices, splice{end - len(old), end, w.source})
		case key == "security" && !security:
			security = true
			if err := w.secured(); err != nil {
				return err
			}
		default:
			if err := w.value(2, false); err != nil {
				return err
			}
		}
	}
	if !source {
		add = append(add, `"source":`+w.source)
	}
	if !security {
		add = append(add, `"security":[`+w.security+`]`)
	}
	if len(add) > 0 {
		text := strings.Join(add, ",")
		if !empty {
			text += ","
		}
		w.splices = append(w.splices, splice{begin, begin, text})
	}
	_, err = w.d.Token()
	return err
}

// secured reads meta.security and has the notices put before what stands in it.
func (w *walker) secured() error {
	tok, err := w.d.Token()
	if err != nil {
		return err
	}
	if tok != json.Delim('[') {
		return errTranslate
	}
	begin, text := int(w.d.InputOffset()), w.security
	if w.d.More() {
		text += ","
	}
	w.splices = append(w.splices, splice{begin, begin, text})
	for w.d.More() {
		if err := w.value(3, false); err != nil {
			return err
		}
	}
	_, err = w.d.Token()
	return err
}
