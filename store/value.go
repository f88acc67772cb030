package store

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"salus/fhir/search"
)

func tableOf(k search.Kind, m search.Modifier) string {
	switch {
	case m == search.Text, k == search.String, k == search.URI:
		return "idx_text"
	case k == search.Token, m == search.Identifier:
		return "idx_token"
	case k == search.Reference:
		return "idx_ref"
	case k == search.Quantity:
		return "idx_quantity"
	}
	return "idx_span"
}

// value is one alternative, on the index table under the prefix ("" or "a.").
func (b *builder) value(at string, k search.Kind, m search.Modifier, v *search.Value) (sqlText, error) {
	unsupported := fmt.Errorf("store: the modifier %s must be resolved before a search", m)
	switch k {
	case search.Token:
		switch m {
		case search.Plain, search.Not:
			return token(at, v), nil
		case search.Differs:
			t := token(at, v)
			return text("NOT ("+t.s+")", t.args...), nil
		case search.Text:
			return begins(at+"value", clip(v.Text, maxText)), nil
		case search.OfType:
			return text(at+"code = ? AND "+at+"system = ?", clip(v.Code+"|"+v.Text, maxText), clip(v.System, maxText)), nil
		}
		return nothing, unsupported
	case search.String:
		switch m {
		case search.Exact:
			return text(at+"value = ? AND "+at+"exact = ?", clip(search.Fold(v.Text), maxText), clip(v.Text, maxExact)), nil
		case search.Contains:
			return text(b.d.position+"("+at+"value, ?) > 0", clip(v.Text, maxText)), nil
		case search.Equals:
			return text(at+"value = ?", clip(v.Text, maxText)), nil
		case search.Differs:
			return text(at+"value <> ?", clip(v.Text, maxText)), nil
		case search.Ends:
			return ends(at+"value", clip(v.Text, maxText)), nil
		}
		return begins(at+"value", clip(v.Text, maxText)), nil
	case search.URI:
		switch m {
		case search.Below:
			return begins(at+"value", clip(v.Text, maxExact)), nil
		case search.Above:
			return text(b.d.position+"(CAST(? AS TEXT), "+at+"value) = 1", v.Text), nil
		case search.Contains:
			return text(b.d.position+"("+at+"value, ?) > 0", clip(v.Text, maxExact)), nil
		case search.Differs:
			return text(at+"value <> ?", clip(v.Text, maxExact)), nil
		case search.Ends:
			return ends(at+"value", clip(v.Text, maxExact)), nil
		}
		return text(at+"value = ?", clip(v.Text, maxExact)), nil
	case search.Reference:
		switch m {
		case search.Plain, search.Typed:
			return text(at+"target = ?", clip(v.Text, maxExact)), nil
		case search.Differs:
			return text(at+"target <> ?", clip(v.Text, maxExact)), nil
		case search.Identifier:
			return token(at, v), nil
		}
		return nothing, unsupported
	case search.Number, search.Date:
		return span(at, v.Prefix, v.Range), nil
	case search.Quantity:
		s := span(at, v.Prefix, v.Range)
		switch {
		case v.HasSystem:
			s = join([]sqlText{s, text(at+"code = ? AND "+at+"system = ?", clip(v.Code, maxText), clip(v.System, maxText))}, " AND ")
		case v.Code != "":
			s = join([]sqlText{s, text(at+"code = ? OR "+at+"unit = ?", clip(v.Code, maxText), clip(v.Code, maxText))}, " AND ")
		}
		return s, nil
	}
	return nothing, fmt.Errorf("store: parameters of kind %s have no index", k)
}

func token(at string, v *search.Value) sqlText {
	switch {
	case !v.HasSystem:
		return text(at+"code = ?", clip(v.Text, maxText))
	case v.Text == "":
		return text(at+"system = ?", clip(v.System, maxText))
	}
	return text(at+"code = ? AND "+at+"system = ?", clip(v.Text, maxText), clip(v.System, maxText))
}

// manyCodes is from where on alternatives are joined by system: databases bound how deep a condition
// is nested, and search a list faster than a chain of comparisons.
const manyCodes = 16

// manyTokens are the conditions of many alternatives of a token, one for each system.
func manyTokens(vs []search.Value) (ors []sqlText) {
	by := map[string][]any{} // codes of a system; under "?", of any
	var systems []any
	for i := range vs {
		v := &vs[i]
		switch {
		case v.HasSystem && v.Text == "":
			systems = append(systems, clip(v.System, maxText))
		case v.HasSystem:
			by["="+v.System] = append(by["="+v.System], clip(v.Text, maxText))
		default:
			by["?"] = append(by["?"], clip(v.Text, maxText))
		}
	}
	if len(systems) > 0 {
		ors = append(ors, text("system IN ("+marks(len(systems))+")", systems...))
	}
	for _, k := range slices.Sorted(maps.Keys(by)) {
		codes := text("code IN ("+marks(len(by[k]))+")", by[k]...)
		if k != "?" {
			codes.s, codes.args = codes.s+" AND system = ?", append(codes.args, clip(k[1:], maxText))
		}
		ors = append(ors, codes)
	}
	return ors
}

// begins compares by byte range, which every index can do.
func begins(column, prefix string) sqlText {
	return text(column+" >= ? AND "+column+" < ?", prefix, prefix+"\U0010FFFF")
}

// ends compares the last characters.
func ends(column, suffix string) sqlText {
	n := int64(utf8.RuneCountInString(suffix))
	return text("length("+column+") >= ? AND substr("+column+", CAST(length("+column+") - ? + 1 AS INTEGER)) = ?", n, n, suffix)
}

// span is search.Range.Matches in SQL.
func span(at string, p search.Prefix, r search.Range) sqlText {
	low, high := at+"low", at+"high"
	within := text(low+" >= ? AND "+low+" <= ? AND "+high+" <= ?", r.Low, r.High, r.High)
	switch p {
	case search.NE:
		return text("NOT ("+within.s+")", within.args...)
	case search.GT:
		return text(high+" > ?", r.High)
	case search.LT:
		return text(low+" < ?", r.Low)
	case search.GE:
		return join([]sqlText{text(high+" > ?", r.High), within}, " OR ")
	case search.LE:
		return join([]sqlText{text(low+" < ?", r.Low), within}, " OR ")
	case search.SA:
		return text(low+" > ?", r.High)
	case search.EB:
		return text(high+" < ?", r.Low)
	case search.AP:
		return text(low+" <= ? AND "+high+" >= ?", r.High, r.Low)
	}
	return within
}
