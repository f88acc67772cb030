package ccda

import (
	"slices"
	"strings"
)

// A state says what became of an attribute or a run of text. What is left unread in
// the end is reported, so that nothing of a document vanishes in silence.
type state uint8

const (
	unread state = iota
	fed          // it is in a resource, or decided what is there
	passed       // it says nothing that the resources do not say (docs/ccda.md lists when)
	told         // it is reported already
)

func (a *attribute) mark(s state) {
	if a != nil && a.state == unread {
		a.state = s
	}
}

// feed marks attributes as used in a resource, pass as known to say nothing more.
func (n *node) feed(names ...string) {
	for _, k := range names {
		n.find(k).mark(fed)
	}
}

func (n *node) pass(names ...string) {
	for _, k := range names {
		n.find(k).mark(passed)
	}
}

// every marks everything at and below n.
func (n *node) every(s state) {
	if n == nil {
		return
	}
	for i := range n.attrs {
		n.attrs[i].mark(s)
	}
	if n.name == "" && n.state == unread {
		n.state = s
	}
	for _, k := range n.kids {
		k.every(s)
	}
}

// say gives the words below n and marks them as used.
func (n *node) say() string {
	var walk func(*node)
	walk = func(n *node) {
		if n.name == "" {
			n.state = fed
		}
		for _, k := range n.kids {
			walk(k)
		}
	}
	if n == nil {
		return ""
	}
	walk(n)
	return n.words()
}

// choose maps a code by a table. A code that the table has not stays unread.
func (n *node) choose(table map[string]string) string {
	v := table[n.peek("code")]
	if v != "" {
		n.feed("code")
		n.described()
	}
	return v
}

// described passes what only describes a code that was read by its value.
func (n *node) described() {
	n.pass("codeSystem", "codeSystemName", "codeSystemVersion", "displayName", "sdtc:valueSet", "sdtc:valueSetVersion")
}

// fixed passes a code that a template prescribes, or that decided which map to use.
func (n *node) fixed(codes ...string) {
	if c := n.peek("code"); c != "" && slices.Contains(codes, c) {
		n.pass("code")
		n.described()
	}
}

// structure lists the attributes that shape a document and are not content. The
// codes of class, mood and type decide which map an element gets.
func structure(name string) bool {
	switch name {
	case "nullFlavor", "classCode", "moodCode", "typeCode", "xsi:type", "determinerCode", "contextConductionInd",
		"contextControlCode", "inversionInd", "operator", "xsi:schemaLocation", "independentInd", "ID":
		return true
	}
	return false
}

// silent lists the elements that identify templates and the standard itself.
func silent(name string) bool {
	return name == "templateId" || name == "realmCode" || name == "typeId"
}

// pending says whether a run of text or an attribute is content that nothing read.
func (a *attribute) pending() bool {
	return a.state == unread && !structure(a.name) && (strings.TrimSpace(a.value) != "") && (a.name != "negationInd" || negates(a.value))
}

func negates(v string) bool { v = strings.TrimSpace(v); return v == "true" || v == "1" }

// waiting says whether anything at or below n is pending.
func (n *node) waiting() bool {
	if n.name == "" {
		return n.state == unread && strings.TrimSpace(n.text) != ""
	}
	if silent(n.name) {
		return false
	}
	for i := range n.attrs {
		if n.attrs[i].pending() {
			return true
		}
	}
	return slices.ContainsFunc(n.kids, (*node).waiting)
}

// touched says whether anything at or below n was used or reported.
func (n *node) touched() bool {
	if n.state != unread {
		return true
	}
	for i := range n.attrs {
		if n.attrs[i].state != unread {
			return true
		}
	}
	return slices.ContainsFunc(n.kids, (*node).touched)
}

// leftovers reports what is pending at and below n: an element as a whole if nothing
// in it was used, else its attributes ("/@name"), its text ("/text()") and its children.
func (m *mapper) leftovers(n *node, template string) {
	if silent(n.name) || !n.waiting() {
		return
	}
	for _, t := range n.all("templateId") {
		if r := t.peek("root"); oid(r) {
			template = r
			break
		}
	}
	if !n.touched() {
		m.report(template, n.path(), ReasonNoMap)
		return
	}
	for i := range n.attrs {
		if n.attrs[i].pending() {
			m.report(template, n.path()+"/@"+n.attrs[i].name, ReasonNoMap)
		}
	}
	text := false
	for _, k := range n.kids {
		switch {
		case k.name != "":
			m.leftovers(k, template)
		case k.waiting() && !text:
			text = true
			m.report(template, n.path()+"/text()", ReasonNoMap)
		}
	}
}

// maxUnmapped bounds the report of a hostile document; the last entry then says ReasonMore.
const maxUnmapped = 20000

func (m *mapper) report(template, path, reason string) {
	switch {
	case len(m.unmapped) < maxUnmapped:
		m.unmapped = append(m.unmapped, Unmapped{template, path, reason})
	case len(m.unmapped) == maxUnmapped:
		m.unmapped = append(m.unmapped, Unmapped{"", "/ClinicalDocument", ReasonMore})
	}
}

// lost reports n and all that is still unread below it.
func (m *mapper) lost(n *node, reason string) {
	if n == nil {
		return
	}
	n.every(told)
	m.note(n, "", reason)
}

// refuse is lost for what was read and could not be used.
func (m *mapper) refuse(n *node, reason string) {
	if n == nil {
		return
	}
	var reset func(*node)
	reset = func(n *node) {
		n.state = told
		for i := range n.attrs {
			n.attrs[i].state = told
		}
		for _, k := range n.kids {
			reset(k)
		}
	}
	reset(n)
	m.note(n, "", reason)
}

// lostAttr reports one attribute.
func (m *mapper) lostAttr(n *node, name, reason string) {
	n.find(name).mark(told)
	m.note(n, "/@"+name, reason)
}

func (m *mapper) note(n *node, suffix, reason string) {
	template := ""
	for at := n; at != nil && template == ""; at = at.parent {
		for _, t := range at.all("templateId") {
			if r := t.peek("root"); oid(r) {
				template = r
				break
			}
		}
	}
	m.report(template, n.path()+suffix, reason)
}
