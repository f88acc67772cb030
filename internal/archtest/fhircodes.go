package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/fhir/element"
	"salus/fhir/fhirxml"
	"salus/fhir/patch"
	"salus/fhir/search"
	"salus/fhir/validate"
)

// A fhirCode is what an OperationOutcome says in issue.details.
type fhirCode struct {
	status string // of HTTP, or the severity of an issue that refuses nothing
	code   string
	text   string
}

// FHIRCodes writes spec/codes-fhir.md: every code that the FHIR server answers with. Codes of rooms that only it uses
// are read from their source, as they stand there in calls of fault, NewFault and issue and in literals; those of
// packages below it are what these say themselves. wrong lists codes that would be answered with several statuses.
func FHIRCodes(tree fs.FS) (doc string, wrong []string, err error) {
	var all []fhirCode
	err = goFiles(tree, 0, func(file string, f *ast.File) {
		switch dir := path.Dir(file); {
		case dir == "gateway/pcf":
			all = append(all, constants(f)...)
		case dir == "fhir/terminology", dir == "node", strings.HasPrefix(dir, "gateway/") && dir != "gateway/intake" && dir != "gateway/portal":
			all = append(all, faults(f)...)
		}
	})
	if err != nil {
		return "", nil, err
	}
	for _, room := range []struct {
		status int
		codes  map[string]string
	}{
		{http.StatusBadRequest, fhir.Codes()},
		{http.StatusBadRequest, fhirxml.Codes()},
		{http.StatusBadRequest, search.Codes()},
		{http.StatusUnprocessableEntity, validate.Codes()},
		{http.StatusUnprocessableEntity, patch.Codes()},
		{http.StatusUnprocessableEntity, onlyIn(element.Codes(), fhir.Codes())},
	} {
		for code, text := range room.codes {
			all = append(all, fhirCode{strconv.Itoa(room.status), code, text})
		}
	}
	slices.SortFunc(all, func(a, b fhirCode) int { return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.text, b.text)) })
	all = slices.Compact(all)
	told := map[string]bool{}
	for _, c := range all {
		told[c.code] = told[c.code] || c.text != elided
	}
	all = slices.DeleteFunc(all, func(c fhirCode) bool { return c.text == elided && told[c.code] })
	status := map[string]string{}
	var b strings.Builder
	b.WriteString(`# Codes of the FHIR server

Generated from the code by ` + "`go test ./internal/archtest -update`" + `; do not edit.

What is refused under /fhir is answered with an OperationOutcome. In each issue, ` + "`details.coding`" + ` has a code of
` + "`urn:salus:code`" + ` and ` + "`details.text`" + ` a sentence; ` + "`expression`" + ` is the place, where there is one. A code is never given another
meaning, and programs may branch on it; sentences may be reworded, and say more than here where … stands. The status is
that of the answer when such an issue is an error; ` + "`$validate`" + ` answers 200 whatever it finds. Where a severity stands instead, nothing is
refused. What the ledger refuses of an emergency has its name in [codes.md](codes.md). Codes of what comes by another way than FHIR are in [docs/intake.md](../docs/intake.md) and [docs/hl7v2.md](../docs/hl7v2.md).

| code | status | sentence |
|---|---|---|
`)
	for _, c := range all {
		if was, ok := status[c.code]; ok && was != c.status {
			wrong = append(wrong, fmt.Sprintf("%s is answered with %s and with %s", c.code, was, c.status))
		}
		status[c.code] = c.status
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.code, c.status, escapeCell.Replace(c.text))
	}
	return b.String(), wrong, nil
}

var escapeCell = strings.NewReplacer("|", `\|`, "<", `\<`)

// onlyIn are the codes of one room that another, which comes before it, does not have.
func onlyIn(codes, before map[string]string) map[string]string {
	maps.DeleteFunc(codes, func(code, _ string) bool { return before[code] != "" })
	return codes
}

// faults are the codes in a file's calls of fault and NewFault, with their status, and of issue, and in its literals.
func faults(f *ast.File) (out []fhirCode) {
	add := func(status string, code, text ast.Expr) {
		if c := said(code); status != "" && strings.Contains(c, "-") && !strings.Contains(c, elided) {
			out = append(out, fhirCode{status, c, said(text)})
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.CallExpr:
			switch fun := lastName(x.Fun); {
			case (fun == "fault" || fun == "NewFault") && len(x.Args) == 4:
				add(statuses[lastName(x.Args[0])], x.Args[2], x.Args[3])
			case fun == "issue" && len(x.Args) == 4: // of what Config.Check finds
				add("422", x.Args[1], x.Args[2])
			}
		case *ast.CompositeLit:
			in := map[string]ast.Expr{}
			for _, e := range x.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					in[lastName(kv.Key)] = kv.Value
				}
			}
			switch kind := kinds[lastName(in["Kind"])]; {
			case in["issue"] != nil && in["text"] != nil:
				add(statuses[lastName(in["status"])], in["issue"], in["text"])
			case in["Code"] == nil || in["Text"] == nil:
			case kind != "":
				add(kind, in["Code"], in["Text"])
			case in["Severity"] != nil && said(in["Severity"]) != "error":
				add(said(in["Severity"]), in["Code"], in["Text"])
			}
		}
		return true
	})
	return out
}

// kinds are the statuses of terminology.Kind (gateway/terminology).
var kinds = map[string]string{"NotFound": "404", "NotSupported": "422", "TooCostly": "422", "Invalid": "422"}

// constants are the codes that a file declares, with the comment behind each for its sentence.
func constants(f *ast.File) (out []fhirCode) {
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v, ok := s.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(v.Names[0].Name, "Code") || len(v.Values) == 0 {
				continue
			}
			status, text := "422", strings.TrimSpace(v.Comment.Text())
			if severity, rest, ok := strings.Cut(text, ": "); ok && (severity == "warning" || severity == "information") {
				status, text = severity, rest
			}
			out = append(out, fhirCode{status, said(v.Values[0]), text})
		}
	}
	return out
}

// lastName is the last name of an expression as in f or http.StatusGone; "" if it is another.
func lastName(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return x.Sel.Name
	}
	return ""
}

// elided stands for what depends on the case.
const elided = "…"

// said is what an expression says: strings, and what is added to them.
func said(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(x.Value); err == nil {
			return s
		}
	case *ast.BinaryExpr:
		return said(x.X) + said(x.Y)
	}
	return elided
}

// statuses are net/http's constants of errors, by name: its texts without spaces.
var statuses = func() map[string]string {
	out := map[string]string{}
	for code := http.StatusBadRequest; code < 600; code++ {
		out["Status"+strings.NewReplacer(" ", "", "-", "").Replace(http.StatusText(code))] = strconv.Itoa(code)
	}
	return out
}()
