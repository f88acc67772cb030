package search

// Limits on a query.
const (
	MaxClauses = 64     // parameters in one query
	MaxValues  = 1000   // alternatives in one clause, as in _id=a,b,c
	MaxChain   = 4      // links of a chain or of nested _has
	MaxCount   = 1000   // resources on a page
	MaxCodes   = 10_000 // that value sets and hierarchies stand for in one query
)

// A Query is a search: of one type, of several (_type), or of all when Types is empty.
type Query struct {
	Types []string
	Where []Clause // all of them must hold

	Sort       []Order
	Include    []Include
	RevInclude []Include // each with its parameter
	Count      int       // of matches on a page; -1 if the query does not say
	Total      Total
	Summary    Summary
	Elements   []string
	Cursor     string // of the page; "" for the first

	// Ignored are the parameters that a lenient Parse left out.
	Ignored []*Issue
}

// A Clause is one parameter with its alternatives: one of the values must match. No clause of Parse
// has the modifiers In, NotIn, Above or Below of a token: it has the codes that they stand for, with
// Plain or, for NotIn, Not. Without any value Plain matches nothing, and Not everything.
type Clause struct {
	Param    *Param
	Modifier Modifier
	Target   string // of a reference with the modifier [type]
	Values   []Value
	Missing  bool // with the modifier Missing: whether there must be no value

	// Chain follows the reference Param to what must hold there (subject:Patient.name=x).
	Chain *Chain
	// Tree joins other clauses; there is nothing else then.
	Tree *Tree
	// Has asks the other way: that some resource refers here (_has:Observation:patient:code=x).
	Has *Has
}

// A Chain is what must hold of the resource at the other end of a reference.
type Chain struct {
	Types  []string // that the reference may lead to and that have the parameter
	Clause []Clause // for each of Types
}

// A Has asks that some resource of Type, whose parameter By refers here, satisfies Clause.
type Has struct {
	Type   string
	By     *Param
	Clause Clause
}

// A Modifier changes what a clause asks (R4 3.1.1.4.4).
type Modifier uint8

// The modifiers.
const (
	Plain      Modifier = iota
	Missing             // :missing
	Exact               // string :exact
	Contains            // string :contains
	Not                 // token :not
	Text                // token :text, on the display text
	In                  // token :in a ValueSet; like the next three, only in query strings (see Terminology)
	NotIn               // token :not-in a ValueSet
	Above               // token, uri, reference :above
	Below               // token, uri, reference :below
	OfType              // token :of-type, on Identifier.type
	Identifier          // reference :identifier
	Typed               // reference :[type]
	InBase              // of no query string: a quantity in base units of UCUM (see Measurer)
	Equals              // string eq of a _filter: the whole, folded
	Ends                // string, uri ew of a _filter
	Differs             // string, uri, token, reference ne of a _filter: some value is another
)

var modifierNames = [...]string{"", "missing", "exact", "contains", "not", "text", "in", "not-in", "above", "below", "of-type", "identifier", "[type]", "ucum", "eq", "ew", "ne"}

// String is the modifier as it is written, without the colon.
func (m Modifier) String() string {
	if int(m) >= len(modifierNames) {
		return "unknown"
	}
	return modifierNames[m]
}

// modifiers are those that go with each kind. Missing goes with all.
var modifiers = map[Kind][]Modifier{
	String:    {Exact, Contains},
	Token:     {Not, Text, In, NotIn, Above, Below, OfType},
	Reference: {Identifier, Above, Below},
	URI:       {Above, Below},
}

// An Order is one key of a sort.
type Order struct {
	Param      *Param
	Descending bool
}

// An Include asks for resources that matches refer to (_include), or that refer to matches
// (_revinclude).
type Include struct {
	Source  string // resource type that has the reference, or "*" for all
	Param   *Param // nil for every reference (Source:*)
	Target  string // resource type at its other end, or ""
	Iterate bool   // also from what was included
}

// Total says how exactly matches are to be counted (_total).
type Total uint8

// The values of _total.
const (
	TotalDefault Total = iota
	TotalNone
	TotalEstimate
	TotalAccurate
)

// Summary says how much of each resource is wanted (_summary).
type Summary uint8

// The values of _summary.
const (
	SummaryFalse Summary = iota
	SummaryTrue
	SummaryText
	SummaryData
	SummaryCount
)
