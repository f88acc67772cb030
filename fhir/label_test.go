package fhir

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the tables of spec/labels.md again")

func labelsOf(t testing.TB, in string) []Label {
	t.Helper()
	r, err := Parse([]byte(in))
	if err != nil {
		t.Fatalf("%s: %v", in, err)
	}
	return LabelsOf(r)
}

// secured returns a Condition whose meta.security is the given JSON.
func secured(security string) string {
	return `{"resourceType":"Condition","meta":{"security":` + security + `}}`
}

func TestSecurityLabelsBindAndUnknownOnesRestrict(t *testing.T) {
	act := func(c string) string { return `[{"system":"` + actCode + `","code":"` + c + `"}]` }
	conf := func(c string) string { return `[{"system":"` + confidentiality + `","code":"` + c + `"}]` }
	for name, c := range map[string]struct {
		in   string
		want []Label
	}{
		"none":                    {`{"resourceType":"Condition"}`, nil},
		"empty list":              {secured(`[]`), nil},
		"normal":                  {secured(conf("N")), nil},
		"low":                     {secured(conf("L")), nil},
		"restricted":              {secured(conf("R")), []Label{R}},
		"very restricted":         {secured(conf("V")), []Label{R, V}},
		"SUD":                     {secured(act("SUD")), []Label{SUD}},
		"OPIOIDUD under SUD":      {secured(act("OPIOIDUD")), []Label{SUD}},
		"ETHUD under SUD":         {secured(act("ETHUD")), []Label{SUD}},
		"BH may be any":           {secured(act("BH")), []Label{PSY, SUD}},
		"SPI may be any":          {secured(act("SPI")), []Label{PSY, SUD, R}},
		"psychotherapy notes":     {secured(act("PSYTHPN")), []Label{PSY, PSYTHPN}},
		"two labels":              {secured(`[` + conf("R")[1:len(conf("R"))-1] + `,` + act("HIV")[1:len(act("HIV"))-1] + `]`), []Label{HIV, R}},
		"low does not undo":       {secured(`[` + conf("L")[1:len(conf("L"))-1] + `,` + act("PSY")[1:len(act("PSY"))-1] + `]`), []Label{PSY}},
		"by object identifier":    {secured(`[{"system":"urn:oid:2.16.840.1.113883.5.4","code":"PSY"}]`), []Label{PSY}},
		"old URL, slash, https":   {secured(`[{"system":"https://hl7.org/fhir/v3/ActCode/","code":"PSY"}]`), []Label{PSY}},
		"system with version":     {secured(`[{"system":"` + actCode + `|9.0.0","code":"PSY"}]`), []Label{PSY}},
		"retired confidentiality": {secured(conf("HIV")), []Label{HIV}},
		"test data":               {secured(`[{"system":"` + actReason + `","code":"HTEST"}]`), nil},
		"known, no label of own":  {secured(act("VIP")), []Label{R}},
		"refrain policy":          {secured(act("NORDSCLCD")), []Label{R}},
		"unknown code":            {secured(act("PSYX")), []Label{R}},
		"code in lower case":      {secured(act("psy")), []Label{R}},
		"unknown system":          {secured(`[{"system":"http://example.org/labels","code":"N"}]`), []Label{R}},
		"no system":               {secured(`[{"code":"N"}]`), []Label{R}},
		"no code":                 {secured(`[{"system":"` + confidentiality + `"}]`), []Label{R}},
		"display only":            {secured(`[{"display":"normal"}]`), []Label{R}},
		"empty object":            {secured(`[{}]`), []Label{R}},
		"null":                    {secured(`null`), []Label{R}},
		"a string":                {secured(`"N"`), []Label{R}},
		"a list of strings":       {secured(`["N"]`), []Label{R}},
		"an object, no list":      {secured(`{"system":"` + actCode + `","code":"HIV"}`), []Label{HIV}},
		"code a number":           {secured(`[{"system":"` + confidentiality + `","code":1}]`), []Label{R}},
		"a CodeableConcept":       {secured(`[{"coding":` + act("HIV") + `}]`), []Label{HIV}},
		"concept of text":         {secured(`[{"text":"normal"}]`), []Label{R}},
		"concept without codings": {secured(`[{"coding":[]}]`), []Label{R}},
		"meta as a list":          {`{"resourceType":"Condition","meta":[{"security":` + act("HIV") + `}]}`, []Label{HIV}},
		"of a contained resource": {`{"resourceType":"Condition","contained":[{"resourceType":"Basic","meta":{"security":` + conf("V") + `}}]}`, []Label{R, V}},
		"inline label":            {`{"resourceType":"Condition","note":[{"extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label","valueCoding":` + strings.Trim(act("SDV"), "[]") + `}]}]}`, []Label{SDV}},
		"inline label, nothing":   {`{"resourceType":"Condition","note":[{"extension":[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"}]}]}`, []Label{R}},
		"sensitivity elsewhere":   {`{"resourceType":"Condition","category":[{"coding":` + act("SUD") + `}]}`, []Label{SUD}},
		"AMB is no sensitivity":   {`{"resourceType":"Condition","class":{"system":"` + actCode + `","code":"AMB"}}`, nil},
	} {
		want := append([]Label{KindCondition}, c.want...)
		if diff := cmp.Diff(want, labelsOf(t, c.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for in, want := range map[string][]Label{
		`{"resourceType":"DocumentReference","securityLabel":[{"coding":` + conf("R") + `}]}`:            {KindDocument, R},
		`{"resourceType":"DocumentReference","securityLabel":[{"coding":[{"code":"?"}]}]}`:               {KindDocument, R},
		`{"resourceType":"Composition","confidentiality":"V"}`:                                           {KindDocument, R, V},
		`{"resourceType":"Composition","confidentiality":"N"}`:                                           {KindDocument},
		`{"resourceType":"Composition","confidentiality":"X"}`:                                           {KindDocument, R},
		`{"resourceType":"Consent","provision":{"securityLabel":` + conf("R") + `}}`:                     {KindAdministrative},
		`{"resourceType":"Consent","provision":{"securityLabel":` + act("HIV") + `}}`:                    {KindAdministrative, HIV},
		`{"resourceType":"Bundle","type":"document","entry":[{"resource":` + secured(act("HIV")) + `}]}`: {KindCondition, KindDocument, HIV},
	} {
		if diff := cmp.Diff(want, labelsOf(t, in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestSensitiveCodesAreFoundWhereverTheyStand(t *testing.T) {
	code := func(system, c, display string) string {
		return `{"resourceType":"Claim","diagnosis":[{"x":{"coding":[{"system":"` + system + `","code":"` + c + `","display":"` + display + `"}]}}]}`
	}
	for _, c := range []struct {
		in   string
		want []Label
	}{
		{code(snomed, "86406008", ""), []Label{HIV}},
		{code("urn:oid:2.16.840.1.113883.6.96", "86406008", ""), []Label{HIV}},
		{code("http://snomed.info/sct/731000124108", "5602001", ""), []Label{SUD}},
		{code(snomed, "44054006", "Diabetes"), nil},
		{code(icd10cm, "F11.20", ""), []Label{SUD}},
		{code(icd10cm, "f1120", ""), []Label{SUD}},
		{code(icd10cm, "F17.210", ""), nil},
		{code(icd10cm, "B20", ""), []Label{HIV}},
		{code(icd10cm, "O98.711", ""), []Label{HIV, SEX}},
		{code(icd10cm, "O9A.311", ""), []Label{SDV, SEX}},
		{code(icd10cm, "F", ""), nil},
		{code("http://hl7.org/fhir/sid/icd-10", "F32.1", ""), []Label{PSY}},
		{code("http://fhir.de/CodeSystem/bfarm/icd-10-gm", "Z21", ""), []Label{HIV}},
		{code(loinc, "44261-6", ""), []Label{PSY}},
		{code("https://loinc.org/", "76690-7", ""), []Label{SEX}},
		{code(rxnorm, "351267", "buprenorphine 8 MG / naloxone 2 MG Sublingual Tablet"), []Label{SUD}},
		{code(rxnorm, "1", "Abuse-Deterrent 12 HR Oxycodone"), nil},
		{code(rxnorm, "748856", ""), []Label{SEX}},
		{code("http://hospital.example/lab", "X7", "HIV-1 RNA, viral load"), []Label{HIV}},
		{code("http://hospital.example/lab", "X8", "Schizoaffective disorder"), []Label{PSY}},
		{code("http://hospital.example/lab", "X9", "Chlamydiaceae culture"), []Label{STD}},
		{code("http://hospital.example/lab", "X9", "Achieving, archives, shiv"), nil},
		{`{"resourceType":"Claim","x":{"text":"Methadone 10 mg"}}`, []Label{SUD}},
		{`{"resourceType":"Claim","x":{"system":"` + unitSystem + `","code":"mg","value":1}}`, nil},
	} {
		if diff := cmp.Diff(append([]Label{KindBilling}, sorted(c.want)...), labelsOf(t, c.in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.in, diff)
		}
	}
}

func sorted(ls []Label) []Label {
	return slices.SortedFunc(slices.Values(ls), func(a, b Label) int { return slices.Index(allLabels[:], a) - slices.Index(allLabels[:], b) })
}

func TestKinds(t *testing.T) {
	category := func(typ, system, c string) string {
		return `{"resourceType":"` + typ + `","category":[{"coding":[{"system":"` + system + `","code":"` + c + `"}]}]}`
	}
	const observation = "http://terminology.hl7.org/CodeSystem/observation-category"
	for in, want := range map[string][]Label{
		category("Observation", observation, "vital-signs"):                                                                {KindVitalSigns},
		category("Observation", observation, "laboratory"):                                                                 {KindLaboratory},
		category("Observation", observation, "social-history"):                                                             {KindSocial},
		category("Observation", observation, "imaging"):                                                                    {KindImaging},
		category("Observation", observation, "unheard-of"):                                                                 {KindLaboratory},
		`{"resourceType":"Observation"}`:                                                                                   {KindLaboratory},
		`{"resourceType":"Observation","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]}}`:                 {KindVitalSigns},
		category("DiagnosticReport", "http://terminology.hl7.org/CodeSystem/v2-0074", "RAD"):                               {KindImaging},
		category("DiagnosticReport", "http://terminology.hl7.org/CodeSystem/v2-0074", "GE"):                                {KindLaboratory, GDIS},
		`{"resourceType":"Patient"}`:                                                                                       {KindAdministrative},
		`{"resourceType":"StructureMap"}`:                                                                                  {KindAdministrative},
		`{"resourceType":"MolecularSequence"}`:                                                                             {KindLaboratory, GDIS},
		`{"resourceType":"MedicationRequest","contained":[{"resourceType":"Medication"},{"resourceType":"Organization"}]}`: {KindMedication},
		`{"resourceType":"Claim","contained":[{"resourceType":"Coverage"},{"resourceType":"ServiceRequest"}]}`:             {KindBilling},
		`{"resourceType":"Claim","contained":[{"resourceType":"Condition"},{"resourceType":"nonsense"}]}`:                  {KindBilling, KindCondition},
	} {
		if diff := cmp.Diff(want, labelsOf(t, in)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
}

func TestNoSecurityCodeIsEverIgnored(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Coding{
			System: rapid.SampledFrom([]string{actCode, confidentiality, actReason, "", "http://x", snomed}).Draw(t, "system"),
			Code:   rapid.OneOf(rapid.StringMatching(`[A-Z]{1,8}`), rapid.SampledFrom(slices.Sorted(maps.Keys(securityTable[actCode])))).Draw(t, "code"),
		}
		set := securityLabels(c)
		row, known := securityTable[canonicalSystem(c.System)][c.Code]
		if set == 0 && (!known || row.set != 0) {
			t.Fatalf("got no label for %v, want one for every code that is not known to be harmless", c)
		}
	})
}

func TestLabelsAreAClosedSetOfAtMost24(t *testing.T) {
	all := AllLabels()
	if len(all) > 24 {
		t.Errorf("got %d labels, want at most 24", len(all))
	}
	seen := map[Label]bool{}
	for _, l := range all {
		if seen[l] || !l.Known() {
			t.Errorf("got label %q twice or unknown", l)
		}
		seen[l] = true
	}
	if all[0] = "x"; AllLabels()[0] == "x" {
		t.Error("got the package's own list from AllLabels, want a copy")
	}
	if Label("x").Known() || Label("x").Sensitive() || KindSocial.Sensitive() || !HIV.Sensitive() {
		t.Error("got kinds and sensitivities mixed up")
	}
}

// SNOMED CT and LOINC codes end in a check digit, which finds most slips of the pen.
func TestCodesOfTheTableHaveValidCheckDigits(t *testing.T) {
	for c := range snomedTable {
		if strings.Contains(c, "-") { // a LOINC code that Synthea files under SNOMED CT
			continue
		}
		if !verhoeff(c) {
			t.Errorf("got SNOMED CT code %s with a wrong check digit", c)
		}
	}
	for c := range loincTable {
		number, check, ok := strings.Cut(c, "-")
		if !ok || luhn(number) != check {
			t.Errorf("got LOINC code %s with a wrong check digit", c)
		}
	}
}

func luhn(number string) string {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 0 {
			d *= 2
		}
		sum += d/10 + d%10
	}
	return fmt.Sprint((10 - sum%10) % 10)
}

// verhoeff checks a number by the dihedral group D5.
func verhoeff(number string) bool {
	permute := []int{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
	c := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		for range i % 8 {
			d = permute[d]
		}
		switch {
		case c < 5 && d < 5:
			c = (c + d) % 5
		case c < 5:
			c = 5 + (c+d)%5
		case d < 5:
			c = 5 + (c-d)%5
		default:
			c = (c - d + 5) % 5
		}
	}
	return c == 0
}

// TestSpecHoldsTheTable keeps spec/labels.md and the code the same.
func TestSpecHoldsTheTable(t *testing.T) {
	const file, mark = "../spec/labels.md", "<!-- below: written by go test ./fhir -run Spec -update -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, _, ok := strings.Cut(string(b), mark)
	if !ok {
		t.Fatalf("got no line %q in %s", mark, file)
	}
	if !strings.Contains(text, fmt.Sprintf("version %d", LabelTableVersion)) {
		t.Errorf("got another version in %s, want version %d", file, LabelTableVersion)
	}
	want := text + mark + tables()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(b) != want {
		t.Errorf("%s differs from the code; if the code is right, raise LabelTableVersion and run go test ./fhir -run Spec -update", file)
	}
}

func tables() string {
	var b strings.Builder
	names := func(s labelSet) string {
		var out []string
		for _, l := range s.labels() {
			out = append(out, string(l))
		}
		if len(out) == 0 {
			return "none"
		}
		return strings.Join(out, ", ")
	}
	table := func(title string, rows map[string]row) {
		fmt.Fprintf(&b, "\n### %s\n\n| code | meaning | labels |\n|---|---|---|\n", title)
		for _, c := range slices.Sorted(maps.Keys(rows)) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c, rows[c].meaning, names(rows[c].set))
		}
	}
	fmt.Fprintf(&b, "\n## Security labels\n")
	for _, system := range []string{confidentiality, actCode, actReason} {
		table(system, securityTable[system])
	}
	fmt.Fprintf(&b, "\n## Sensitive codes\n")
	table(icd10cm+" (prefixes, without dots)", icdTable)
	table(snomed, snomedTable)
	table(loinc, loincTable)
	table(rxnorm, rxnormTable)
	fmt.Fprintf(&b, "\n### Words of a display or text\n\n| label | words; `*` stands for any ending |\n|---|---|\n")
	byLabel := map[Label][]string{}
	for w, s := range wordTable.whole {
		for _, l := range s.labels() {
			byLabel[l] = append(byLabel[l], w)
		}
	}
	for _, begins := range wordTable.begins {
		for _, x := range begins {
			for _, l := range x.set.labels() {
				byLabel[l] = append(byLabel[l], x.stem+"\\*")
			}
		}
	}
	for _, l := range allLabels {
		if ws := byLabel[l]; len(ws) > 0 {
			slices.Sort(ws)
			fmt.Fprintf(&b, "| %s | %s |\n", l, strings.Join(ws, " "))
		}
	}
	fmt.Fprintf(&b, "\n## Kinds\n\n| resource | kind |\n|---|---|\n")
	for _, typ := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "| %s | %s |\n", typ, names(kinds[typ]))
	}
	fmt.Fprintf(&b, "| Observation, DiagnosticReport | by category, below |\n| every other | %s |\n", KindAdministrative)
	fmt.Fprintf(&b, "\n| category | kind |\n|---|---|\n")
	for _, c := range slices.Sorted(maps.Keys(categories)) {
		fmt.Fprintf(&b, "| %s | %s |\n", c, names(categories[c]))
	}
	return b.String()
}
