package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"salus/gateway"
	"salus/gateway/smart"
)

// appCmd is about apps on the organisation's FHIR server (docs/smart.md).
type appCmd struct {
	Add  appAdd  `cmd:"" help:"Register an app, or replace what is registered of it."`
	List appList `cmd:"" help:"List the apps that are registered."`
	Drop appDrop `cmd:"" help:"Remove an app and end everything that it was given."`
	Code appCode `cmd:"" help:"Make a code with which a practitioner or a patient signs in to apps, once."`
}

type appAdd struct {
	File string `arg:"" help:"The registration in JSON, as docs/smart.md shows it." type:"existingfile"`
}

func (c *appAdd) Run(e *env) error {
	raw, err := os.ReadFile(c.File)
	if err != nil {
		return fmt.Errorf("registration: %w", err)
	}
	var app smart.Client
	if err := json.Unmarshal(raw, &app); err != nil {
		return usageError{"the file is no registration of an app: docs/smart.md shows one"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var out gateway.RegisteredApp
	if err := api.JSON(e.ctx, "POST", "/v1/apps", app, &out); err != nil {
		return err
	}
	return e.show(out, "", func(add func(...any)) {
		add("client_id", out.ID)
		if out.Secret != "" {
			add("client_secret", out.Secret+"  (shown this once)")
		}
	})
}

type appList struct{}

func (*appList) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var list []smart.Client
	if err := api.JSON(e.ctx, "GET", "/v1/apps", nil, &list); err != nil {
		return err
	}
	return e.show(list, "client_id name scopes", func(add func(...any)) {
		for _, a := range list {
			add(a.ID, a.Name, a.Scopes)
		}
	})
}

type appDrop struct {
	ID string `arg:"" help:"The client_id."`
}

func (c *appDrop) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "DELETE", "/v1/apps/"+c.ID, nil, nil)
}

type appCode struct {
	Staff   string `help:"Name of the practitioner's key." xor:"who" required:""`
	Patient string `help:"Id of a Patient in the organisation's own store." xor:"who" required:""`
}

func (c *appCode) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var out gateway.Code
	if err := api.JSON(e.ctx, "POST", "/v1/codes", gateway.NewCode{Staff: c.Staff, Patient: c.Patient}, &out); err != nil {
		return err
	}
	return e.show(out, "", func(add func(...any)) {
		add("code", out.Code)
		add("until", out.Expires.Local().Format(time.TimeOnly))
	})
}
