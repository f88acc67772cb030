package ledger_test

import (
	"testing"

	"salus/ledger/ledgertest"
)

func TestStories(t *testing.T) { ledgertest.Run(t, "testdata", toyNetwork()) }
