package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"salus/config"
	"salus/fhir/index"
	"salus/gateway/chart"
	"salus/record"
	"salus/store"
)

// errNoClinicalStore is of an organisation whose records hold versions of resources.
var errNoClinicalStore = errors.New("node: there is no clinical store: salus node rebuild makes it from the records")

// checkFHIR compares all of the clinical store with what the FHIR server would write now. It tells how many
// resources of which type something is wrong with, and never which.
func (s *stopped) checkFHIR(ctx context.Context, c *config.Config) (detail string, err error) {
	keys, err := loadKeys(c)
	if err != nil {
		return "", err
	}
	_, x, err := openSearch(c)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(clinicalFile(c)); c.FHIR.Store == "sqlite" && errors.Is(err, os.ErrNotExist) {
		if s.record == nil {
			return "none", nil
		}
		return "none", s.record.Versions(func(string, record.Owned, []byte) error { return errNoClinicalStore })
	}
	st, err := openClinicalStore(ctx, c, keys.store)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	h, err := st.Check(ctx, x.Digest(), chart.Expected(x))
	if err != nil {
		return "", err
	}
	behind, err := chart.Behind(ctx, st)
	if err != nil {
		return "", err
	}
	detail = fmt.Sprintf("%d resources, %d versions, %d perhaps in no record yet", h.Resources, h.Versions, behind)
	if h.Unindexed > 0 {
		detail += fmt.Sprintf(", %d to be indexed anew", h.Unindexed)
	}
	if len(h.Findings) == 0 {
		return detail, nil
	}
	return detail, fmt.Errorf("node: clinical store: %s: salus node rebuild makes it again", worded(h.Findings, x))
}

// worded are findings in words: "resources with too few rows in the index (2 Observation, 1 Patient)".
func worded(findings []store.Finding, x *index.Index) string {
	var parts []string
	var of []string
	for i, f := range findings {
		typ := f.Type
		if !x.Known(typ) {
			typ = "of no known type" // what stands there may be anything
		}
		of = append(of, fmt.Sprintf("%d %s", f.Count, typ))
		if i+1 == len(findings) || findings[i+1].Fault != f.Fault {
			parts = append(parts, fmt.Sprintf("%s (%s)", f.Fault, strings.Join(of, ", ")))
			of = nil
		}
	}
	return strings.Join(parts, ", ")
}
