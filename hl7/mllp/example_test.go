package mllp_test

import (
	"fmt"
	"strings"

	"salus/hl7/mllp"
)

func ExampleReader() {
	r := mllp.NewReader(strings.NewReader("\x0bMSH|^~\\&|\r\x1c\r"), 1<<20)
	msg, err := r.Next()
	fmt.Printf("%q %v\n", msg, err)
	// Output: "MSH|^~\\&|\r" <nil>
}
