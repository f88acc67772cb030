package terminology

import (
	"slices"

	"salus/fhir/terminology"
	"salus/gateway/rest"
)

func (s *Service) expand(q *question) (*rest.Reply, error) {
	if err := q.only("url", "valueSet", "valueSetVersion", "filter", "offset", "count", "includeDesignations", "designation", "includeDefinition", "activeOnly", "excludeNested",
		"excludeNotForUI", "excludePostCoordinated", "displayLanguage", "exclude-system", "system-version", "check-system-version", "force-system-version"); err != nil {
		return nil, err
	}
	x := &terminology.Expand{
		Filter: q.text("filter"), Language: q.text("displayLanguage"), Designations: q.texts("designation"), ExcludeSystems: q.texts("exclude-system"),
		Versions: terminology.Versions{Default: versions(q.texts("system-version")), Check: versions(q.texts("check-system-version")), Force: versions(q.texts("force-system-version"))},
	}
	var err error
	for _, f := range []struct {
		name string
		to   *bool
	}{{"includeDesignations", &x.IncludeDesignations}, {"includeDefinition", &x.IncludeDefinition}, {"activeOnly", &x.ActiveOnly}, {"excludeNotForUI", &x.ForUI}} {
		if *f.to, err = q.flag(f.name); err != nil {
			return nil, err
		}
	}
	if x.Offset, err = q.number("offset", 0); err != nil {
		return nil, err
	}
	if x.Count, err = q.number("count", -1); err != nil {
		return nil, err
	}
	if x.Set, err = q.set(); err != nil {
		return nil, err
	}
	b, err := q.engine.Expand(q.ctx, x)
	return &rest.Reply{Body: b}, err
}

// versions reads system|version.
func versions(list []string) map[string]string {
	out := map[string]string{}
	for _, c := range list {
		if url, v := terminology.Cut(c); v != "" {
			out[url] = v
		}
	}
	return out
}

func (s *Service) validateInSet(q *question) (*rest.Reply, error) {
	if err := q.only("url", "valueSet", "valueSetVersion", "code", "system", "systemVersion", "display", "coding", "codeableConcept", "abstract", "displayLanguage"); err != nil {
		return nil, err
	}
	codings, err := q.codings(q.text("system"), q.text("systemVersion"))
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(codings, func(c terminology.Coding) bool { return c.System == "" }) {
		return nil, errNoCode
	}
	v, err := q.set()
	if err != nil {
		return nil, err
	}
	abstract, err := q.flag("abstract")
	if err != nil {
		return nil, err
	}
	out, err := q.engine.In(q.ctx, v, &terminology.Check{Codings: codings, Abstract: abstract, Language: q.text("displayLanguage")})
	if err != nil {
		return nil, err
	}
	return verdict(&out), nil
}

func (s *Service) validateInSystem(q *question) (*rest.Reply, error) {
	if err := q.only("url", "codeSystem", "code", "version", "display", "coding", "codeableConcept", "abstract", "displayLanguage"); err != nil {
		return nil, err
	}
	codings, err := q.codings("", "")
	if err != nil {
		return nil, err
	}
	cs, err := q.system("url")
	if err != nil {
		return nil, err
	}
	abstract, err := q.flag("abstract")
	if err != nil {
		return nil, err
	}
	out, err := cs.Of(&terminology.Check{Codings: codings, Abstract: abstract, Language: q.text("displayLanguage")})
	if err != nil {
		return nil, err
	}
	return verdict(&out), nil
}

func verdict(v *terminology.Verdict) *rest.Reply {
	p := parameters{}
	p.add("result", "Boolean", v.Valid)
	p.text("message", "String", v.Message)
	p.text("display", "String", v.Display)
	return p.reply()
}

func (s *Service) lookup(q *question) (*rest.Reply, error) {
	if err := q.only("code", "system", "version", "coding", "displayLanguage", "property"); err != nil {
		return nil, err
	}
	codings, err := q.codings(q.text("system"), q.text("version"))
	if err != nil {
		return nil, err
	}
	cs, err := q.system("system")
	if err != nil {
		return nil, err
	}
	l, err := cs.Lookup(codings[0].Code, q.text("displayLanguage"))
	if err != nil {
		return nil, err
	}
	return looked(l, q.texts("property")), nil
}

func (s *Service) subsumes(q *question) (*rest.Reply, error) {
	if err := q.only("codeA", "codeB", "system", "version", "codingA", "codingB"); err != nil {
		return nil, err
	}
	codes := [2]string{q.text("codeA"), q.text("codeB")}
	systems := [2]string{}
	for _, g := range q.given {
		for i, name := range []string{"codingA", "codingB"} {
			if g.Name == name && g.Coding != nil && codes[i] == "" {
				codes[i], systems[i] = g.Coding.Code, g.Coding.System
			}
		}
	}
	if codes[0] == "" || codes[1] == "" {
		return nil, errNoCode
	}
	cs, err := q.system("system")
	if err != nil {
		return nil, err
	}
	for _, u := range systems {
		if u != "" && u != cs.URL {
			return nil, errTwoSystems
		}
	}
	how, err := cs.Subsumes(codes[0], codes[1])
	if err != nil {
		return nil, err
	}
	p := parameters{}
	p.text("outcome", "Code", how)
	return p.reply(), nil
}

func (s *Service) translate(q *question) (*rest.Reply, error) {
	if err := q.only("url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept", "target", "targetsystem", "dependency", "reverse"); err != nil {
		return nil, err
	}
	codings, err := q.codings(q.text("system"), q.text("version"))
	if err != nil {
		return nil, err
	}
	for i := range codings {
		if codings[i].System == "" {
			return nil, errNoCode
		}
	}
	url, version := terminology.Cut(q.text("url"))
	if v := q.text("conceptMapVersion"); v != "" {
		version = v
	}
	t := &terminology.Translate{URL: url, Version: version, Codings: codings, Source: q.text("source"), Target: q.text("target"), TargetSystem: q.text("targetsystem")}
	if t.Reverse, err = q.flag("reverse"); err != nil {
		return nil, err
	}
	for _, g := range q.given {
		if g.Name != "dependency" {
			continue
		}
		var d terminology.Depends
		for _, p := range g.Part {
			switch {
			case p.Name == "element":
				d.Element = p.URI
			case p.Name == "concept" && p.CodeableConcept != nil:
				d.Concept = p.CodeableConcept.Coding
			}
		}
		t.Depends = append(t.Depends, d)
	}
	if q.ID != "" {
		v, err := q.stored.see(q.ctx, "ConceptMap", q.ID)
		if err != nil {
			return nil, err
		}
		if t.Map, err = terminology.ParseConceptMap(v.Body); err != nil {
			return nil, err
		}
	} else if b := q.resource("conceptMap"); b != nil {
		if t.Map, err = terminology.ParseConceptMap(b); err != nil {
			return nil, err
		}
	}
	matches, ok, err := q.engine.Translate(q.ctx, t)
	if err != nil {
		return nil, err
	}
	return translated(matches, ok), nil
}
