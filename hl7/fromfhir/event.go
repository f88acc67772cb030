package fromfhir

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// EventsOf are the messages that a version of a resource calls for, in their order; before is the version that it
// follows, nil if it is the first or follows a deletion. An update of a Patient is ADT^A31; who knows of a visit
// under way sends ADT^A08 instead. A change of meta or narrative alone calls for none.
func EventsOf(resource, before []byte) []string {
	now, was := decode(resource), decode(before)
	if now == nil || was != nil && same(now, was) {
		return nil
	}
	status, had := str(now["status"]), str(was["status"])
	switch str(now["resourceType"]) {
	case "Patient":
		return patientEvents(now, was)
	case "Encounter":
		return visitEvents(now, was)
	case "DiagnosticReport":
		return []string{"ORU^R01"}
	case "ServiceRequest":
		if status == "draft" || status == "unknown" || now["doNotPerform"] == true || !strings.HasSuffix(str(now["intent"]), "order") {
			return nil
		}
		if was == nil && (status == "revoked" || status == "entered-in-error") {
			return nil // nobody heard of it
		}
		return []string{"OML^O21", "ORM^O01"}
	case "Immunization":
		return []string{"VXU^V04"}
	case "DocumentReference":
		switch {
		case strings.HasPrefix(str(obj(first(now["content"])["attachment"])["contentType"]), mediaType):
			return nil
		case status == "current":
			return []string{"MDM^T02"}
		case status == "entered-in-error" && had == "current":
			return []string{"MDM^T11"}
		}
	case "Appointment":
		return appointmentEvents(now, was)
	case "ChargeItem":
		if status == "billable" && had != "billed" {
			return []string{"DFT^P03"}
		}
	case "Claim":
		if status == "active" && str(now["use"]) == "claim" && had != "active" {
			return []string{"DFT^P03"}
		}
	}
	return nil
}

// same compares two versions but for what says nothing to a receiver.
func same(a, b object, but ...string) bool {
	strip := func(o object) object {
		c := maps.Clone(o)
		for _, k := range append([]string{"meta", "text", "id"}, but...) {
			delete(c, k)
		}
		return c
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

// replacers are those whom a Patient was replaced by.
func replacers(o object) (out []string) {
	for _, l := range objects(o["link"]) {
		if str(l["type"]) == "replaced-by" {
			out = append(out, str(obj(l["other"])["reference"]))
		}
	}
	return out
}

func patientEvents(now, was object) []string {
	gone, went := replacers(now), replacers(was)
	switch {
	case len(gone) > 0 && !slices.Equal(gone, went):
		return []string{"ADT^A40"}
	case len(went) > 0 && len(gone) == 0:
		return []string{"ADT^A37"}
	case was == nil:
		return []string{"ADT^A28"}
	case same(now, was, "link"):
		return nil // the other of the two tells of it
	}
	return []string{"ADT^A31"}
}

// Unlinked is the reference of the Patient who replaced another in a version, and no more in the next; "" if
// there is none.
func Unlinked(resource, before []byte) string {
	gone, went := replacers(decode(resource)), replacers(decode(before))
	for _, ref := range went {
		if !slices.Contains(gone, ref) {
			return ref
		}
	}
	return ""
}

// present are the states of a visit that has begun and not ended (R4 encounter-status).
func present(status string) bool {
	switch status {
	case "arrived", "triaged", "in-progress", "onleave":
		return true
	}
	return false
}

func visitEvents(now, was object) []string {
	status, had := str(now["status"]), str(was["status"])
	void := status == "cancelled" || status == "entered-in-error"
	switch {
	case void && (had == "" || had == "cancelled" || had == "entered-in-error"):
		return nil // nobody heard of it
	case void:
		return []string{"ADT^A11"}
	case status == "finished" && !present(had) && had != "finished":
		return []string{begins(now), "ADT^A03"}
	case status == "finished" && had != "finished":
		return []string{"ADT^A03"}
	case present(status) && had == "finished":
		return []string{"ADT^A13"}
	case present(status) && !present(had):
		return []string{begins(now)}
	case status == "planned" && was == nil:
		return []string{"ADT^A05"}
	case was == nil:
		return nil // unknown: it neither begins nor ends
	}
	return []string{"ADT^A08"}
}

// begins is A01 of an inpatient, A04 of others.
func begins(o object) string {
	switch str(obj(o["class"])["code"]) {
	case "IMP", "ACUTE", "NONAC":
		return "ADT^A01"
	}
	return "ADT^A04"
}

func appointmentEvents(now, was object) []string {
	status, had := str(now["status"]), str(was["status"])
	firm := func(s string) bool {
		return slices.Contains([]string{"booked", "arrived", "checked-in", "fulfilled"}, s)
	}
	known := firm(had)
	switch {
	case status == "cancelled" && known:
		return []string{"SIU^S15"}
	case status == "entered-in-error" && known:
		return []string{"SIU^S17"}
	case status == "noshow" && known:
		return []string{"SIU^S26"}
	case !firm(status):
		return nil
	case !known:
		return []string{"SIU^S12"}
	case str(now["start"]) != str(was["start"]) || str(now["end"]) != str(was["end"]):
		return []string{"SIU^S13"}
	}
	return []string{"SIU^S14"}
}
