// Command generate writes the embedded terminology of FHIR R4 from HL7's npm package
// hl7.fhir.r4.examples@4.0.1 (CC0 1.0), whose .tgz it takes from the environment variable
// HL7_R4 ("npm pack hl7.fhir.r4.examples@4.0.1" fetches it).
package main

import (
	"fmt"
	"os"

	"salus/fhir/terminology"
)

func main() {
	if err := run(os.Getenv("HL7_R4"), "r4.zst"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("generate: HL7_R4 must name the package: %w", err)
	}
	defer f.Close()
	l, err := (*terminology.Loaded)(nil).Add(f)
	if err != nil {
		return err
	}
	b, err := l.Pack()
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644) //nolint:gosec // a source file
}
