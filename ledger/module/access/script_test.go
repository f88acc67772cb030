package access_test

import (
	"testing"

	"salus/ledger/ledgertest"
)

func TestScripts(t *testing.T) { ledgertest.Run(t, "testdata", params()) }
