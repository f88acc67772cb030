package sample

import "regexp"

// What the FHIR server puts into the meta of a resource, or in the place of one.
var (
	alone = regexp.MustCompile(`"meta":\{"versionId":"[0-9]+","lastUpdated":"[^"]+"\},`)
	first = regexp.MustCompile(`("meta":\{)"versionId":"[0-9]+","lastUpdated":"[^"]+",`)
)

// Sent is a resource without versionId and lastUpdated, which a FHIR server gives it, of its record or of what a FHIR
// server answers: as it was sent, if it was sent without them.
func Sent(body []byte) []byte { return first.ReplaceAll(alone.ReplaceAll(body, nil), []byte("$1")) }
