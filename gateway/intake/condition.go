package intake

import (
	"bytes"
	"context"
	"iter"
	"net/url"
	"regexp"
	"strings"

	"salus/fhir"
	"salus/fhir/element"
	"salus/gateway/rest"
)

// maxConditions bounds how many different references by a search of a file are followed.
const maxConditions = 100_000

// conditional is a reference by a search (R4 3.1.0.14.4).
var conditional = regexp.MustCompile(`^[A-Z][A-Za-z]+\?.`)

// conditions are the references by a search that a file holds, and where they lead: to the one resource of
// the file that has the identifier; if it has none, to the one that the FHIR server finds.
type conditions struct {
	byText  map[string]*lead
	byToken map[string]*lead // those by an identifier alone: Type?system|value
}

// A lead is where a reference by a search leads.
type lead struct {
	to      string // Type/id; "" while it leads nowhere
	several bool   // of the file
}

func newConditions() conditions {
	return conditions{map[string]*lead{}, map[string]*lead{}}
}

// note keeps the references by a search that a resource holds.
func (c conditions) note(body []byte) error {
	if !bytes.ContainsRune(body, '?') {
		return nil
	}
	_, err := rest.Relink(body, func(name, text string) (string, error) {
		if name == "reference" && c.byText[text] == nil && len(c.byText) < maxConditions && conditional.MatchString(text) {
			c.byText[text] = c.lead(text)
		}
		return text, nil
	})
	return err
}

// lead is a new one, or that of another spelling of the same.
func (c conditions) lead(text string) *lead {
	typ, query, _ := strings.Cut(text, "?")
	name, value, _ := strings.Cut(query, "=")
	token, err := url.QueryUnescape(value)
	if name != "identifier" || err != nil || strings.ContainsAny(value, "&") || strings.ContainsAny(token, `\,`) {
		return &lead{} // the FHIR server reads it
	}
	k := typ + "?" + token
	if c.byToken[k] == nil {
		c.byToken[k] = &lead{}
	}
	return c.byToken[k]
}

// match looks through a file for the resources that the references by an identifier mean.
func (c conditions) match(ctx context.Context, a *addresses, items iter.Seq2[fhir.Item, error]) error {
	return each(ctx, items, func(it *fhir.Item) error {
		tree, err := element.Parse(it.Resource.Raw())
		if err != nil {
			return nil //nolint:nilerr // it is refused when its turn comes
		}
		ids := tree.Root().Get("identifier")
		switch ids.Kind() {
		case element.Object:
			c.has(a, it, ids)
		case element.Array:
			for id := range ids.Children() {
				c.has(a, it, id)
			}
		}
		return nil
	})
}

// has notes that an item has an identifier.
func (c conditions) has(a *addresses, it *fhir.Item, id element.Node) {
	if id.Kind() != element.Object {
		return
	}
	system, value := id.Get("system").Text(), id.Get("value").Text()
	if value == "" {
		return
	}
	for _, token := range []string{value, system + "|" + value} {
		l := c.byToken[it.Resource.Type()+"?"+token]
		if l == nil {
			continue
		}
		to := it.Resource.Type() + "/" + a.id(it)
		l.several = l.several || l.to != "" && l.to != to
		l.to = to
	}
}

// ask finds in the store what the file does not have.
func (c conditions) ask(ctx context.Context, find func(context.Context, string) (string, error)) error {
	for text, l := range c.byText {
		if l.to != "" {
			continue
		}
		var err error
		if l.to, err = find(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// to is where a reference leads; "" if it leads nowhere, or nobody knows where.
func (c conditions) to(text string) string {
	if l := c.byText[text]; l != nil && !l.several {
		return l.to
	}
	return ""
}
