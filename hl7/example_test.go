package hl7_test

import (
	"fmt"

	"salus/hl7"
)

func ExampleParse() {
	m, err := hl7.Parse([]byte("MSH|^~\\&|LAB|HOSP|||20260101||ADT^A01|1|P|2.5\rPID|1||100^^^HOSP^MR||Example^Ann\r"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Get("PID-5.1").Plain(), m.Get("PID-3.5").Plain())
	// Output: Example MR
}
