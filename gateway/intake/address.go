package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"regexp"
	"strings"

	"salus/fhir"
	"salus/gateway/rest"
)

// addresses say under which id what a file holds is written, and what its references mean then. They depend
// on the file alone: the same file leads to the same places.
type addresses struct {
	local func(string) string // takes the organisation's own base away
	byURL map[[16]byte]string // of a fullUrl: Type/id
	conditions
}

// survey reads a file for the addresses of its entries, and for what they refer to by a search. Errors: what
// is wrong with the file as a whole, ctx's.
func (a *addresses) survey(ctx context.Context, items iter.Seq2[fhir.Item, error]) error {
	return each(ctx, items, func(it *fhir.Item) error {
		if err := a.note(it.Resource.Raw()); err != nil || it.FullURL == "" {
			return err
		}
		if k := digest(it.FullURL); a.byURL[k] == "" { // the first has it
			a.byURL[k] = it.Resource.Type() + "/" + a.id(it)
		}
		return nil
	})
}

// each hands the items of a file to do, but for those that are refused when their turn comes. Errors: what is
// wrong with the file as a whole, ctx's, do's.
func each(ctx context.Context, items iter.Seq2[fhir.Item, error], do func(*fhir.Item) error) error {
	for it, err := range items {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && it.Index < 0:
			return err
		case err != nil:
			continue
		}
		if err := do(&it); err != nil {
			return err
		}
	}
	return nil
}

// digest is short: a Bundle may have a million addresses.
func digest(s string) [16]byte {
	h := sha256.Sum256([]byte(s))
	return [16]byte(h[:16])
}

// id is the id of an item at this organisation: its own; that of its fullUrl if it has none; one made of its
// bytes if it has neither. What another server has under an address of its own gets one made of the address:
// two servers' Patient/1 are never taken for one person.
func (a *addresses) id(it *fhir.Item) string {
	if a.base(it) != "" {
		return hash(it.FullURL)
	}
	if id := it.Resource.ID(); id != "" {
		return id
	}
	if id := it.FullURL[strings.LastIndexAny(it.FullURL, ":/")+1:]; idSyntax.MatchString(id) {
		return id
	}
	return hash(it.Resource.Type() + "\x00" + string(it.Resource.Raw()))
}

var idSyntax = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`) // R4 2.24.0.1

func hash(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:16])
}

// base is the other server that an item comes from, with its last slash; "" if it comes from none.
func (a *addresses) base(it *fhir.Item) string {
	if !strings.HasPrefix(it.FullURL, "http://") && !strings.HasPrefix(it.FullURL, "https://") || a.local(it.FullURL) != it.FullURL {
		return ""
	}
	if base, ok := strings.CutSuffix(it.FullURL, it.Resource.Type()+"/"+it.Resource.ID()); ok {
		return base
	}
	return it.FullURL[:strings.LastIndexByte(it.FullURL, '/')+1]
}

// literal is a relative reference to a resource (R4 2.3.0.1).
var literal = regexp.MustCompile(`^[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}(/_history/[A-Za-z0-9.-]{1,64})?$`)

var (
	errTwice  = &rest.Fault{Status: 422, Issues: []rest.Issue{{Type: "invalid", Code: fhir.CodeFullURL, Text: fhir.Codes()[fhir.CodeFullURL]}}}
	errAstray = &rest.Fault{Status: 422, Issues: []rest.Issue{{Type: "not-found", Code: fhir.CodeReference, Text: "a reference by urn:uuid or urn:oid leads to no entry of the Bundle"}}}
)

// place is an item as it is written: its id, and references that hold here. Errors: errTwice, errAstray.
func (a *addresses) place(it *fhir.Item) (rest.Loading, error) {
	x := rest.Loading{Resource: it.Resource, ID: a.id(it)}
	if it.FullURL == "" && len(a.byURL) == 0 && len(a.byText) == 0 {
		return x, nil // nothing to follow
	}
	if there := a.byURL[digest(it.FullURL)]; it.FullURL != "" && there != it.Resource.Type()+"/"+x.ID {
		return x, errTwice
	}
	base := a.base(it)
	raw := it.Resource.Raw()
	body, err := rest.Relink(raw, func(element, text string) (string, error) {
		urn := strings.HasPrefix(text, "urn:uuid:") || strings.HasPrefix(text, "urn:oid:")
		switch {
		case urn, element == "reference" && strings.HasPrefix(text, "http"):
			if there := a.byURL[digest(text)]; there != "" {
				return there, nil
			}
			if urn && element == "reference" {
				return "", errAstray
			}
		case base != "" && element == "reference" && literal.MatchString(text):
			if there := a.byURL[digest(base+text)]; there != "" {
				return there, nil
			}
			return base + text, nil // of that server
		case element == "reference":
			if there := a.to(text); there != "" {
				return there, nil
			}
		}
		return text, nil
	})
	if err != nil {
		return x, err
	}
	if len(body) == len(raw) && &body[0] == &raw[0] {
		return x, nil
	}
	x.Resource, err = fhir.Parse(body)
	return x, err
}

// issueOf is an error about one resource as a report has it.
func issueOf(err error) *fhir.Issue {
	if own, ok := errors.AsType[*fhir.Issue](err); ok {
		return own
	}
	for _, i := range rest.FaultOf(err).Issues {
		if i.Severity == "" || i.Severity == "error" || i.Severity == "fatal" {
			return &fhir.Issue{Code: i.Code, Expression: i.Expression, Text: i.Text}
		}
	}
	return &fhir.Issue{Code: "rest-internal", Text: "the FHIR server did not take it"}
}
