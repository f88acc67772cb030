package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxString bounds the strings that functions make, in bytes.
const maxString = 1 << 20

// pattern compiles a regular expression: "." matches line ends too.
func pattern(text string, full bool) (*regexp.Regexp, error) {
	if full {
		text = "^(?:" + text + ")$"
	}
	return regexp.Compile("(?s)" + text)
}

// text1 reads the input as one string.
func (r *run) text1(n *node, in []Value) (string, bool) {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	}
	if len(in) != 1 || r.err != nil {
		return "", false
	}
	v := in[0].System()
	if v.kind == Node && v.el.Value().Kind() == 0 { // only extensions
		return "", false
	}
	if v.kind != String {
		if in[0].kind == Node && v.kind != Node {
			return v.String(), true // dates, numbers of FHIR have their text
		}
		r.fail(CodeType, n.pos, "a string is wanted here")
		return "", false
	}
	return v.text, true
}

func fnRegex(r *run, n *node, in, focus, dst []Value) []Value {
	s, ok := r.text1(n, in)
	p, ok2 := r.str(n.args[0], focus)
	with, ok3 := "", true
	if n.name == "replaceMatches" {
		with, ok3 = r.str(n.args[1], focus)
	}
	if !ok || !ok2 || !ok3 || !r.tick(1+len(s)/64, n.pos) {
		return dst
	}
	re := n.re
	if re == nil {
		var err error
		if re, err = pattern(p, n.name == "matchesFull"); err != nil {
			r.fail(CodeSemantic, n.pos, "this is not a regular expression of RE2")
			return dst
		}
	}
	if n.name != "replaceMatches" {
		return append(dst, Bool(re.MatchString(s)))
	}
	if p == "" {
		return append(dst, Text(s))
	}
	if (len(s)+1)*(len(with)+1) > maxString*16 {
		r.fail(CodeBudget, n.pos, "the string is too long")
		return dst
	}
	return append(dst, Text(re.ReplaceAllString(s, groups(with))))
}

// groups rewrites $1 as ${1}.
func groups(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		b.WriteByte(s[i])
		if s[i] == '$' && i+1 < len(s) && digit(s[i+1]) {
			b.WriteByte('{')
			for i+1 < len(s) && digit(s[i+1]) {
				i++
				b.WriteByte(s[i])
			}
			b.WriteByte('}')
		}
	}
	return b.String()
}

// position counts the characters before byte i.
func position(s string, i int) int64 {
	if i < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

func fnString(r *run, n *node, in, focus, dst []Value) []Value {
	s, ok := r.text1(n, in)
	if !ok || !r.tick(1+len(s)/64, n.pos) {
		return dst
	}
	switch n.name {
	case "upper":
		return append(dst, Text(strings.ToUpper(s)))
	case "lower":
		return append(dst, Text(strings.ToLower(s)))
	case "trim":
		return append(dst, Text(strings.TrimSpace(s)))
	case "length":
		return append(dst, Int(int64(utf8.RuneCountInString(s))))
	case "toChars":
		if r.tick(len(s), n.pos) {
			for _, c := range s {
				dst = append(dst, Text(string(c)))
			}
		}
		return dst
	case "substring":
		return r.substring(n, s, focus, dst)
	}
	a, ok := r.str(n.args[0], focus)
	if !ok {
		return dst
	}
	switch n.name {
	case "indexOf":
		return append(dst, Int(position(s, strings.Index(s, a))))
	case "lastIndexOf":
		return append(dst, Int(position(s, strings.LastIndex(s, a))))
	case "startsWith":
		return append(dst, Bool(strings.HasPrefix(s, a)))
	case "endsWith":
		return append(dst, Bool(strings.HasSuffix(s, a)))
	case "contains":
		return append(dst, Bool(strings.Contains(s, a)))
	case "split":
		if r.tick(strings.Count(s, a), n.pos) {
			for p := range strings.SplitSeq(s, a) {
				dst = append(dst, Text(p))
			}
		}
		return dst
	case "replace":
		b, ok := r.str(n.args[1], focus)
		if !ok {
			return dst
		}
		if len(s)+strings.Count(s, a)*len(b) > maxString {
			r.fail(CodeBudget, n.pos, "the string is too long")
			return dst
		}
		return append(dst, Text(strings.ReplaceAll(s, a, b)))
	}
	if out, ok := recode(n.name, a, s); ok {
		return append(dst, Text(out))
	}
	return dst
}

func (r *run) substring(n *node, s string, focus, dst []Value) []Value {
	from, ok := r.integer(n.args[0], focus)
	if !ok {
		return dst
	}
	count := int64(len(s))
	if len(n.args) == 2 {
		if c, ok := r.integer(n.args[1], focus); ok {
			count = max(c, 0)
		}
	}
	runes := []rune(s)
	if from < 0 || from >= int64(len(runes)) {
		return dst
	}
	return append(dst, Text(string(runes[from:min(from+count, int64(len(runes)))])))
}

// recode does encode, decode, escape and unescape.
func recode(name, format, s string) (string, bool) {
	var b []byte
	var err error
	switch name + " " + format {
	case "encode base64":
		return base64.StdEncoding.EncodeToString([]byte(s)), true
	case "encode urlbase64":
		return base64.URLEncoding.EncodeToString([]byte(s)), true
	case "encode hex":
		return hex.EncodeToString([]byte(s)), true
	case "decode base64":
		b, err = base64.StdEncoding.DecodeString(s)
	case "decode urlbase64":
		b, err = base64.URLEncoding.DecodeString(s)
	case "decode hex":
		b, err = hex.DecodeString(s)
	case "escape html":
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s), true
	case "unescape html":
		return html.UnescapeString(s), true
	case "escape json":
		var w strings.Builder
		e := json.NewEncoder(&w)
		e.SetEscapeHTML(false)
		err = e.Encode(s)
		q := strings.TrimSuffix(w.String(), "\n")
		return q[1 : len(q)-1], err == nil
	case "unescape json":
		var out string
		bare := strings.ReplaceAll(strings.ReplaceAll(s, `\"`, `"`), `"`, `\"`) // a quote may stand without its escape
		err = json.Unmarshal([]byte(`"`+bare+`"`), &out)
		return out, err == nil
	default:
		return "", false
	}
	return string(b), err == nil && utf8.Valid(b)
}

func fnJoin(r *run, n *node, in, focus, dst []Value) []Value {
	sep := ""
	if len(n.args) == 1 {
		sep, _ = r.str(n.args[0], focus)
	}
	var b strings.Builder
	for i := range in {
		s, ok := r.text1(n, in[i:i+1])
		if !ok {
			continue
		}
		if b.Len() > 0 || i > 0 {
			b.WriteString(sep)
		}
		if b.WriteString(s); b.Len() > maxString {
			r.fail(CodeBudget, n.pos, "the string is too long")
			return dst
		}
	}
	if len(in) == 0 {
		return dst
	}
	return append(dst, Text(b.String()))
}

// tags are the elements of XHTML that a narrative may have (FHIR R4, 2.4.0.1).
var tags = strings.Fields("div a abbr acronym b big blockquote br caption cite code col colgroup dd dfn dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var")

// fnHTML checks that a narrative is a div of XHTML with nothing active in it.
func fnHTML(r *run, n *node, in, _, dst []Value) []Value {
	s, ok := r.text1(n, in)
	if !ok || !r.tick(1+len(s)/16, n.pos) {
		return dst
	}
	return append(dst, Bool(cleanHTML(s)))
}

func cleanHTML(s string) bool {
	d := xml.NewDecoder(strings.NewReader(s))
	d.Entity = xml.HTMLEntity
	depth, content := 0, false
	for first := true; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return depth == 0 && !first && content
		}
		switch t := t.(type) {
		case nil:
			return false
		case xml.StartElement:
			if first && (t.Name.Local != "div" || t.Name.Space != "http://www.w3.org/1999/xhtml") || !first && depth == 0 || !slices.Contains(tags, t.Name.Local) {
				return false
			}
			for _, a := range t.Attr {
				if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Value)), "javascript:") {
					return false
				}
			}
			content = content || t.Name.Local == "img"
			first = false
			depth++
		case xml.EndElement:
			depth--
		case xml.CharData:
			content = content || strings.TrimSpace(string(t)) != ""
		case xml.Directive:
			return false
		}
	}
}
