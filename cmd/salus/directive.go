package main

import (
	"strings"

	"salus/client"
	"salus/fhir"
	"salus/ledger/module/emergency"
	"salus/ledger/tx"
	"salus/record"
)

type consentEmergency struct {
	Wallet  string   `help:"The patient's wallet." required:"" type:"existingfile"`
	Set     bool     `help:"Set what an emergency may open, in the place of what holds; without it, show that."`
	Without []string `help:"With --set: never records with these labels, in either step."`
}

func (c *consentEmergency) Run(e *env) error {
	if len(c.Without) > 0 && !c.Set {
		return usageError{"--without says what to set: add --set"}
	}
	without, err := labels(c.Without)
	if err != nil {
		return err
	}
	w, api, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	slots, err := w.SlotMap()
	if err != nil {
		return err
	}
	d, err := directive(e, api, w.Patient)
	if err != nil {
		return err
	}
	if c.Set {
		if len(without) > 23 {
			return usageError{"that many exclusions leave nothing: a directive excludes at most 23 labels and psychotherapy notes"}
		}
		got, err := record.Direct(e.ctx, by, w.Patient, slots, d.Version, without)
		if err != nil {
			return err
		}
		return e.committed(got)
	}
	if d.Version == 0 {
		e.say("No directive: an emergency opens nothing. Set one with --set.")
		return nil
	}
	var out struct {
		emergency.Directive
		First  []fhir.Label `json:"first"`
		Second []fhir.Label `json:"second"`
		Never  []fhir.Label `json:"never"`
	}
	out.Directive = d
	out.First, out.Second, out.Never = slots.EmergencyWords(d.Mask(false), d.Mask(true))
	text := func(ls []fhir.Label) string {
		var s []string
		for _, l := range ls {
			s = append(s, string(l))
		}
		return strings.Join(s, " ")
	}
	return e.show(out, "", func(add func(...any)) {
		add("first step", text(out.First))
		add("second step", text(out.Second))
		add("never", text(out.Never))
		add("set by", map[bool]string{true: "you", false: "your steward"}[d.By == w.Patient])
	})
}

// directive asks the ledger what an emergency may open of a patient's records.
func directive(e *env, api *client.API, patient tx.Account) (d emergency.Directive, err error) {
	return d, ask(e, api, "emergency/directive", emergency.ByPatient{Patient: patient}, &d)
}
