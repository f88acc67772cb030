package main

import (
	"strings"
	"time"

	"salus/record"
)

type recordCmd struct {
	Import recordImport `cmd:"" help:"Import FHIR R4 bundles (.json) or NDJSON (.ndjson)."`
	List   recordList   `cmd:"" help:"List what this organisation wrote about a patient."`
	Get    recordGet    `cmd:"" help:"Print the exact bytes of one record of this organisation."`
}

type recordList struct {
	Patient string `arg:"" help:"Pseudonym."`
}

func (c *recordList) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var rs []record.Owned
	if err := api.JSON(e.ctx, "GET", "/v1/patients/"+a.String()+"/records", nil, &rs); err != nil {
		return err
	}
	return e.show(rs, "id type status labels", func(add func(...any)) {
		for _, r := range rs {
			add(r.ID, r.Type, r.Status, strings.Join(r.Labels, ","))
		}
	})
}

type recordGet struct {
	ID string `arg:"" help:"Record id."`
}

func (c *recordGet) Run(e *env) error {
	if _, err := record.ParseID(c.ID); err != nil {
		return usageError{err.Error()}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	b, err := api.Bytes(e.ctx, "GET", "/v1/records/"+c.ID, nil)
	if err != nil {
		return err
	}
	_, err = e.out.Write(b)
	return err
}

// timed runs f and says how long it took.
func timed(f func() error) (time.Duration, error) {
	start := time.Now()
	err := f()
	return time.Since(start), err
}
