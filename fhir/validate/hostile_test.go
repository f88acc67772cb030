package validate

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"salus/fhir/element"
)

// circle makes a Bundle of observations that fit a profile and lead to each other in a circle,
// which a slice tells by that profile.
func circle(t *testing.T, n int) string {
	one := string(fixture(t, "pressure.json").Raw())
	var b strings.Builder
	for i := range n {
		id := func(k int) string { return strconv.Itoa((i + k) % n) }
		b.WriteString(`,{"fullUrl":"http://x.example/Observation/` + id(0) + `","resource":` + strings.Replace(one, `"status"`,
			`"id":"`+id(0)+`","hasMember":[{"reference":"Observation/`+id(1)+`"}],"status"`, 1) + `}`)
	}
	return `{"resourceType":"Bundle","type":"collection","entry":[` + b.String()[1:] + `]}`
}

// Each of these is a few megabytes that would take hours if the work grew with its square.
// The bound is the test's own timeout.
func TestHostileResourcesAreAnsweredInTime(t *testing.T) {
	const n = 40_000
	list := func(f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f(i))
		}
		return b.String()
	}
	v := profiled(t, Options{Strictness: Full})
	for name, r := range map[string]string{
		"many contained and references to them": `{"resourceType":"Patient","contained":[` + list(func(i int) string { return `{"resourceType":"Organization","id":"` + strconv.Itoa(i) + `","name":"x"}` }) +
			`],"generalPractitioner":[` + list(func(i int) string { return `{"reference":"#` + strconv.Itoa(i) + `"}` }) + `]}`,
		"primitives with siblings":     `{"resourceType":"Patient","name":[{"given":[` + list(func(int) string { return `"a"` }) + `],"_given":[` + list(func(int) string { return `{"id":"1"}` }) + `]}]}`,
		"many names that nobody knows": `{"resourceType":"Patient",` + list(func(i int) string { return `"x` + strconv.Itoa(i) + `":1` }) + `}`,
		"slices and more slices": `{"resourceType":"Observation","meta":{"profile":["` + pressure + `"]},"status":"final","code":{"text":"x"},"component":[` +
			list(func(int) string { return `{"code":{"coding":[{"system":"s:x","code":"x"}]}}` }) + `]}`,
		"observations that refer to each other": circle(t, 4000),
		"a long narrative":                      `{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + strings.Repeat("<p>&lt;<b>x</b></p>", n) + `</div>"}}`,
		"links of a questionnaire":              `{"resourceType":"Questionnaire","status":"draft","item":[` + list(func(i int) string { return `{"linkId":"` + strconv.Itoa(i) + `","type":"string"}` }) + `]}`,
	} {
		tree, err := element.Parse([]byte(r))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := v.ValidateTree(context.Background(), tree)
		if len(got) > DefaultLimit {
			t.Errorf("%s: got %d issues, want %d at most", name, len(got), DefaultLimit)
		}
	}
}
