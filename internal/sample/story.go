package sample

// A story is what is special about a patient: a sensitive problem, or none.
type story struct {
	problem  *problem
	measures []measure // of the sensitive problem's visits
	category string    // of those measures
	security string    // label in meta.security, or "": then only the codes tell
	note     code      // of the documents
}

const actCode, confidentiality = thosys + "v3-ActCode", thosys + "v3-Confidentiality"

func label(system, c, display string) string { return coding(code{system, c, display}) }

// stories are told in turn, by the seed.
var stories = []story{
	{note: code{loinc, "11506-3", "Progress note"}},
	{ // depression: the codes tell, no label
		problem: &problem{
			code{snomed, "370143000", "Major depressive disorder (disorder)"},
			code{icd, "F33.1", "Major depressive disorder, recurrent, moderate"},
			problemV,
			[]code{{snomed, "171207006", "Depression screening (procedure)"}},
			[]code{{rxnorm, "310384", "Fluoxetine 10 MG Oral Capsule"}},
			code{},
			nil,
		},
		measures: []measure{{"44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]", "{score}", 0, 27, true}}, category: "survey",
		note: code{loinc, "34788-0", "Psychiatry Consult note"},
	},
	{ // opioid use disorder under 42 CFR Part 2: labelled
		problem: &problem{
			code{snomed, "5602001", "Opioid abuse (disorder)"},
			code{icd, "F11.20", "Opioid dependence, uncomplicated"},
			problemV,
			[]code{{snomed, "266707007", "Drug addiction therapy (regime/therapy)"}},
			[]code{{rxnorm, "351267", "buprenorphine 8 MG / naloxone 2 MG Sublingual Tablet"}},
			code{snomed, "56876005", "Drug rehabilitation and detoxification (regime/therapy)"},
			[]code{{snomed, "60112009", "Drug addiction counseling (procedure)"}},
		},
		measures: []measure{{"82667-7", "Total score [DAST-10]", "{score}", 0, 10, true}}, category: "survey",
		security: label(actCode, "OPIOIDUD", "opioid use disorder information sensitivity") + "," + label(confidentiality, "R", "restricted"), note: code{loinc, "34857-3", "Evaluation and management of substance abuse note"},
	},
	{ // HIV: the codes tell, no label
		problem: &problem{
			code{snomed, "86406008", "Human immunodeficiency virus infection (disorder)"},
			code{icd, "B20", "Human immunodeficiency virus [HIV] disease"},
			followup, nil,
			[]code{{rxnorm, "1999667", "bictegravir 50 MG / emtricitabine 200 MG / tenofovir alafenamide 25 MG Oral Tablet"}},
			code{},
			nil,
		},
		measures: []measure{{"24467-3", "CD3+CD4+ (T4 helper) cells [#/volume] in Blood", "/uL", 200, 900, true}, {"20447-9", "HIV 1 RNA [#/volume] (viral load) in Serum or Plasma by NAA with probe detection", "{copies}/mL", 20, 400, true}}, category: "laboratory",
		note: code{loinc, "11488-4", "Consult note"},
	},
	{ // pregnancy: labelled
		problem: &problem{
			code{snomed, "72892002", "Normal pregnancy (finding)"},
			code{icd, "Z34.90", "Encounter for supervision of normal pregnancy, unspecified, unspecified trimester"},
			code{snomed, "424619006", "Prenatal visit (regime/therapy)"},
			[]code{{snomed, "225158009", "Auscultation of the fetal heart (procedure)"}, {snomed, "274804006", "Evaluation of uterine fundal height (procedure)"}},
			nil,
			code{snomed, "134435003", "Routine antenatal care (regime/therapy)"},
			[]code{{snomed, "135892000", "Antenatal education (procedure)"}},
		},
		security: label(actCode, "PREGNANT", "pregnancy information sensitivity"), note: code{loinc, "11506-3", "Progress note"},
	},
	{ // domestic violence: labelled very restricted
		problem: &problem{
			code{snomed, "706893006", "Victim of intimate partner abuse (finding)"},
			code{icd, "T74.11XA", "Adult physical abuse, confirmed, initial encounter"},
			emergency, nil, nil,
			code{},
			nil,
		},
		security: label(actCode, "SDV", "sexual assault, abuse, or domestic violence information sensitivity") + "," + label(confidentiality, "V", "very restricted"), note: code{loinc, "34111-5", "Emergency department Note"},
	},
}

// begin tells who the patient is.
func (g *generator) begin() {
	g.now = clock{begin}.days(g.below(700)).plus(g.below(500))
	g.person()
	g.caregivers()
	for range g.below(3) {
		g.allergy()
	}
}

// visit tells one visit: every third is for the story's own problem, if it has one; every
// fourth is a check-up.
func (g *generator) visit(n int) {
	g.now = g.now.days(20 + g.below(120)).plus(g.below(60))
	p, security := &problems[g.below(len(problems))], ""
	own := g.story.problem != nil && n%3 == 1
	if own {
		p, security = g.story.problem, g.story.security
	}
	v := visit{problem: p, security: security, encounter: g.uuid(), wellness: n%4 == 0 && !own, minutes: 15 + 5*g.below(5)}
	v.end = g.now.plus(v.minutes)
	if v.wellness {
		v.reason = checkup
	} else {
		v.reason = p.reason
	}
	g.encounter(&v)
	if v.wellness {
		g.wellness(&v)
	} else {
		g.treatment(&v, own, n)
	}
	g.claims(&v)
}

// A visit is one encounter and what belongs to it.
type visit struct {
	problem      *problem
	reason       code
	security     string
	encounter    string
	condition    string // id, or ""
	prescription string // id of the last MedicationRequest, or ""
	wellness     bool
	minutes      int
	end          clock
	items        []item // to be billed
}

func (g *generator) wellness(v *visit) {
	for _, m := range vitals[:3+g.below(len(vitals)-2)] {
		g.quantity(v, "vital-signs", m)
	}
	g.bloodPressure(v)
	g.smoking(v)
	g.panel(v)
	g.immunization(v)
	if g.below(2) == 0 {
		g.immunization(v)
	}
	if g.below(3) == 0 {
		g.quantity(v, "laboratory", singles[g.below(len(singles))])
	}
}

func (g *generator) treatment(v *visit, own bool, n int) {
	g.conditionOf(v)
	if g.below(2) == 0 {
		g.bloodPressure(v)
	}
	if own {
		for _, m := range g.story.measures {
			g.quantity(v, g.story.category, m)
		}
	}
	for _, p := range v.problem.procedures {
		g.procedure(v, p)
	}
	if len(v.problem.drugs) > 0 {
		g.prescribe(v, v.problem.drugs[g.below(len(v.problem.drugs))])
	}
	switch {
	case v.problem.plan.code != "" && g.below(2) == 0:
		g.carePlan(v)
	case n%5 == 2:
		g.imaging(v)
	}
	if own || g.below(4) == 0 {
		g.document(v)
	}
	if g.below(5) == 0 {
		g.panel(v)
	}
}
