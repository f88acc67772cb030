// Package summary offers Patient/$summary (HL7 IPS 2.0.0, OperationDefinition summary): the
// International Patient Summary of a patient, as package fhir/ips makes it of what the caller may see.
//
// Contract: everything is read through the caller's rest.Leave, in the compartment of the one patient
// and, for what her resources refer to, by rest.See. What the caller does not see changes no byte of the
// answer but for the identifiers and the time that are the document's own. The operation keeps nothing: its
// parameter persistent is refused.
//
// A Keeper keeps the summary that an emergency opens first (docs/emergency.md): of the organisation's own
// resources alone, without anything sensitive or excluded by the patient, as a record that goes to the
// ledger and is in no FHIR answer.
//
// The package must never read around a Leave, and never put what a resource says into an error.
package summary
