package mistake

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

var errInstead = errors.New("instead")

func keep(t *testing.T, f func() (int, error)) (v int, log string, err error) {
	t.Helper()
	var b bytes.Buffer
	v, err = Keep(t.Context(), slog.New(slog.NewTextHandler(&b, nil)), "sample_map", errInstead, f)
	return v, b.String(), err
}

func length(v any) (int, error) { return len(v.(string)), nil }

func put(m map[string]int, s string) (int, error) {
	m[s] = 1
	return len(m), nil
}

func TestAMistakeIsRefusedAndItsPlaceIsLogged(t *testing.T) {
	v, log, err := keep(t, func() (int, error) { return length(nil) })
	if v != 0 || !errors.Is(err, errInstead) {
		t.Errorf("got %d, %v", v, err)
	}
	if !strings.Contains(log, "program_mistake in=sample_map") || !strings.Contains(log, "mistake.length:") {
		t.Errorf("the log does not say where: %s", log)
	}
	if _, log, err := keep(t, func() (int, error) { return put(nil, "Sample") }); !errors.Is(err, errInstead) || strings.Contains(log, "Sample") {
		t.Errorf("got %v, %s", err, log)
	}
}

func TestWhatIsNoMistakeGoesOn(t *testing.T) {
	own := errors.New("own")
	if v, log, err := keep(t, func() (int, error) { return 7, own }); v != 7 || !errors.Is(err, own) || log != "" {
		t.Errorf("got %d, %v, %s", v, err, log)
	}
	defer func() {
		if p := recover(); p != "halt" {
			t.Errorf("got %v", p)
		}
	}()
	_, _, _ = keep(t, func() (int, error) { panic("halt") })
	t.Error("a decision to halt is kept")
}
