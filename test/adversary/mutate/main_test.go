package main

import (
	"errors"
	"testing"
)

// Only a test that ran and failed proves anything.
func TestOnlyATestThatRanAndFailedIsFound(t *testing.T) {
	fails := errors.New("exit status 1")
	for _, c := range []struct {
		name   string
		out    string
		failed error
		want   result
	}{
		{"it failed", "=== RUN   TestA\n=== RUN   TestA/b\n--- FAIL: TestA (0.1s)\n", fails, found},
		{"it panicked", "=== RUN   TestA\n=== RUN   TestA/b\npanic: index out of range\n", fails, found},
		{"it passed", "=== RUN   TestA\n=== RUN   TestA/b\n--- PASS: TestA (0.1s)\n", nil, survived},
		{"it has no such case", "=== RUN   TestA\n--- PASS: TestA (0.1s)\n", nil, invalid},
		{"it does not compile", "FAIL p [build failed]\n", fails, invalid},
		{"it came to no end", "=== RUN   TestA\n=== RUN   TestA/b\npanic: test timed out after 4m\n", fails, invalid},
		{"it was skipped", "=== RUN   TestA\n=== RUN   TestA/b\n--- SKIP: TestA (0.1s)\n", nil, invalid},
	} {
		if got := judge([]byte(c.out), c.failed, "TestA/b"); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}
