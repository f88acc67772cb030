package tofhir_test

import (
	"fmt"

	"salus/hl7"
	"salus/hl7/tofhir"
)

func ExampleMap() {
	m, _ := hl7.Parse([]byte("MSH|^~\\&|LAB|HOSP|||20260101||ADT^A28|1|P|2.5\rPID|1||100^^^HOSP^MR||Example^Ann||||||||||||||||||||||||||Y\r"))
	r, err := tofhir.Map(m, tofhir.Options{Feed: "lab", Secret: []byte("sixteen bytes ok")})
	fmt.Println(r.Count, r.Unmapped, err)
	// Output: 4 [MSH[1]-7 MSH[1]-11 PID[1]-1 PID[1]-31] <nil>
}
