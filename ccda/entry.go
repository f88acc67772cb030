package ccda

import (
	"slices"
	"strconv"
)

// Templates of C-CDA R2.1 and its companions, under 2.16.840.1.113883.10.20.22.4.
const (
	t              = "2.16.840.1.113883.10.20.22.4."
	problemConcern = t + "3"
	problem        = t + "4"
	allergyConcern = t + "30"
	allergy        = t + "7"
	reaction       = t + "9"
	medication     = t + "16"
	immunization   = t + "52"
	result         = t + "2"
	entryReference = t + "122"
	comment        = t + "64"
	note           = t + "202"
)

func decimalText(i int64) string { return strconv.FormatInt(i, 10) }

// wrappers hold statements and are no resource themselves: what they hold is mapped.
// The category is that of problems in them.
var wrappers = map[string]string{
	t + "132": "health-concern",      // Health Concern Act
	t + "136": "health-concern",      // Risk Concern Act
	t + "80":  "encounter-diagnosis", // Encounter Diagnosis
	t + "33":  "encounter-diagnosis", // Hospital Discharge Diagnosis
	t + "34":  "encounter-diagnosis", // Hospital Admission Diagnosis
	t + "51":  "encounter-diagnosis", // Postprocedure Diagnosis
	t + "65":  "encounter-diagnosis", // Preoperative Diagnosis
	t + "35":  "-",                   // Discharge Medication
	t + "36":  "-",                   // Admission Medication
	t + "135": "-",                   // Medical Equipment Organizer
	t + "108": "-",                   // Advance Directive Organizer
}

// observations are the templates that become an Observation, with the category that
// US Core gives them, or "" where it has none.
var observations = map[string]string{
	t + "2": "laboratory", t + "27": "vital-signs",
	t + "38": "social-history", t + "78": "social-history", t + "85": "social-history",
	t + "13":                         "procedure",
	t + "69":                         "survey",            // Assessment Scale Observation
	t + "86":                         "survey",            // Assessment Scale Supporting Observation
	t + "67":                         "functional-status", // Functional Status Observation
	t + "66":                         "functional-status",
	t + "74":                         "cognitive-status", // Mental Status Observation
	t + "75":                         "cognitive-status",
	t + "128":                        "functional-status", // Self-Care Activities
	t + "127":                        "functional-status", // Sensory Status
	t + "505":                        "disability-status",
	t + "72":                         "social-history", // Caregiver Characteristics
	t + "109":                        "social-history", // Characteristics of Home Environment
	t + "111":                        "social-history", // Cultural and Religious Observation
	t + "501":                        "social-history", // Sexual Orientation
	t + "503":                        "social-history", // Basic Occupation
	t + "504":                        "social-history", // Basic Industry
	t + "281":                        "social-history", // Pregnancy Intention
	"2.16.840.1.113883.10.20.15.3.8": "social-history", // Pregnancy
	t + "5":                          "",               // Health Status
	t + "48":                         "",               // Advance Directive
	t + "76":                         "exam",           // Number of Pressure Ulcers
	t + "77":                         "exam",           // Highest Pressure Ulcer Stage
	t + "110":                        "",               // Progress Toward Goal
	t + "113":                        "",               // Prognosis
	t + "114":                        "exam",           // Longitudinal Care Wound
	t + "133":                        "exam",           // Wound Measurement
	t + "134":                        "exam",           // Wound Characteristic
	t + "124":                        "exam",           // Nutritional Status
	t + "138":                        "exam",           // Nutrition Assessment
	t + "143":                        "",               // Priority Preference
	t + "144":                        "",               // Outcome
	t + "9":                          "",               // Reaction, where it stands alone
	"2.16.840.1.113883.10.20.6.2.12": "imaging",        // Text Observation
	"2.16.840.1.113883.10.20.6.2.13": "imaging",        // Code Observations
	"2.16.840.1.113883.10.20.6.2.14": "imaging",        // Quantity Measurement Observation
}

// category of a template, and whether it is one of the Observations.
func category(n *node) (string, bool) {
	for _, x := range n.all("templateId") {
		if c, ok := observations[x.peek("root")]; ok {
			return c, true
		}
	}
	return "", false
}

func planned(n *node) bool {
	return slices.Contains([]string{"INT", "RQO", "PRMS", "PRP", "ARQ", "APT"}, n.peek("moodCode"))
}

// entry maps one entry of section s and gives what came of it.
func (m *mapper) entry(e, s *node) []*draft {
	return m.statements(e, where{section: s.one("code").peek("code")})
}

// where says in what section and wrapper a statement stands.
type where struct {
	section, category string
	concern           *node
}

func (m *mapper) statements(holder *node, w where) (out []*draft) {
	for _, n := range holder.kids {
		if n.name != "" {
			out = append(out, m.statement(n, w)...)
		}
	}
	return out
}

// statement maps a clinical statement by its template, class and mood.
func (m *mapper) statement(n *node, w where) []*draft {
	one := func(d *draft) []*draft {
		if d == nil {
			return nil
		}
		return []*draft{d}
	}
	for _, x := range n.all("templateId") {
		if c, ok := wrappers[x.peek("root")]; ok {
			return m.wrapper(n, w, c)
		}
	}
	switch n.name {
	case "observation":
		switch {
		case n.template(t+"121") || n.peek("moodCode") == "GOL":
			return one(m.goal(n))
		case n.template(t+"200", t+"506", "2.16.840.1.113883.10.20.34.3.45", t+"507"):
			m.trait(n)
			return nil
		case n.template(allergy):
			return one(m.allergy(n, w.concern))
		case n.template(problem, t+"68", t+"73"):
			return one(m.problem(n, w))
		case n.template(t + "19"): // an Indication that stands alone
			return one(m.problem(n, w))
		case planned(n) && !n.template(t+"281") && (n.template(t+"44", t+"140") || hasCategory(n)):
			return one(m.request(n))
		case n.template("2.16.840.1.113883.10.20.15.3.8", t+"281"):
			return one(m.pregnancy(n))
		case n.template(t + "48"):
			return one(m.directive(n))
		case hasCategory(n):
			c, _ := category(n)
			return one(m.observation(n, c))
		}
	case "act":
		switch {
		case n.template(problemConcern), n.template(allergyConcern):
			return m.concern(n, w)
		case n.template(t + "60"):
			return m.coverages(n)
		case n.template(t + "61"):
			return one(m.policy(n, nil))
		case n.template(note):
			return one(m.noteActivity(n, nil))
		case n.template(t+"131", t+"146"):
			return one(m.intervention(n, w))
		case n.template(t + "500.1"):
			return nil
		case n.template(t+"12") && !planned(n):
			return one(m.procedure(n))
		case n.template(t+"12", t+"39", t+"20", t+"130", t+"140"):
			return one(m.request(n))
		}
	case "substanceAdministration":
		switch {
		case n.template(immunization) && !planned(n):
			return one(m.immunization(n))
		case n.template(immunization, t+"120", medication, t+"42"):
			return one(m.medication(n))
		}
	case "supply":
		switch {
		case n.template(t+"18") && !planned(n):
			return one(m.dispense(n, nil))
		case n.template(t + "17"):
			return one(m.order(n))
		case n.template(t+"50", t+"43"):
			return one(m.supply(n))
		}
	case "procedure":
		switch {
		case n.template(t+"14", t+"41") && planned(n):
			return one(m.request(n))
		case n.template(t + "14"):
			return one(m.procedure(n))
		}
		if pi := n.one("participant", "participantRole"); pi.template(t + "37") { // the device alone
			return m.devices(n)
		}
	case "encounter":
		if n.template(t+"49", t+"40") {
			return one(m.encounter(n))
		}
	case "organizer":
		switch {
		case n.template(t + "1"):
			return one(m.diagnosticReport(n))
		case n.template(t + "26"):
			return one(m.panel(n))
		case n.template(t + "45"):
			return one(m.family(n))
		case n.template(t + "500"):
			return one(m.team(n))
		case n.template(t+"66", t+"75"):
			c, _ := category(n)
			return one(m.cluster(n, c))
		}
	case "observationMedia":
		return one(m.media(n))
	}
	return nil
}

func hasCategory(n *node) bool {
	_, ok := category(n)
	return ok
}

// wrapper maps what a wrapper holds. Its id stands for the first of it.
func (m *mapper) wrapper(n *node, w where, cat string) []*draft {
	if cat != "-" {
		w.category = cat
	}
	n.one("code").fixed("29308-4", "75310-3", "11535-2", "46241-6", "10219-4", "59769-0", "10183-2", "42346-7", "45473-6", "75311-1")
	for _, c := range n.one("code").all("translation") {
		c.fixed("29308-4", "75325-1", "59769-0")
	}
	w.concern = nil
	if n.template(t+"132", t+"136", t+"80", t+"33", t+"34", t+"51", t+"65") {
		w.concern = n
	}
	var out []*draft
	for _, k := range n.kids {
		if k.name == "entryRelationship" || k.name == "component" {
			if x := k.one("act"); x.template(comment) {
				continue
			}
			out = append(out, m.statements(k, w)...)
		}
	}
	if len(out) == 0 {
		return nil
	}
	m.alias(n, out[0])
	n.one("statusCode").fixed("completed", "active")
	for _, d := range out {
		if n.name == "organizer" || n.template(t+"132", t+"136") {
			m.origins(d, n)
		}
	}
	for _, k := range n.all("entryRelationship") {
		if x := k.one("act"); x.template(entryReference) {
			m.refer(out[0], x, k)
		}
	}
	return out
}

func negated(n *node) bool {
	if negates(n.peek("negationInd")) {
		n.feed("negationInd")
		return true
	}
	return false
}

// cannot reports a negated statement whose resource cannot say so.
func (m *mapper) cannot(n *node) bool {
	if !negates(n.peek("negationInd")) {
		return false
	}
	m.lost(n, ReasonNegated)
	return true
}

// status maps statusCode by a concept map of the guide; other where there is none.
func status(n *node, table map[string]string, other string) string {
	if s := n.one("statusCode").choose(table); s != "" {
		return s
	}
	return other
}

// nested finds the entryRelationship observations with a code.
func nested(n *node, code string) *node {
	for _, r := range n.all("entryRelationship") {
		if o := r.one("observation"); o != nil && o.one("code").peek("code") == code {
			return o
		}
	}
	return nil
}

// answer is the coded value of a nested observation by a table; the rest of it is fixed.
func answer(o *node, table map[string]string) string {
	s := o.one("value").choose(table)
	if s == "" {
		return ""
	}
	helper(o)
	return s
}

// helper passes what frames the value of an observation that became an element: its
// code decided the map, its text is in the narrative, its status is fixed.
func helper(o *node) {
	if c := o.one("code"); c != nil {
		c.pass("code")
		c.described()
	}
	o.one("statusCode").fixed("completed")
}
