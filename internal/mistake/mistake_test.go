package mistake

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

var errInstead = errors.New("instead")

func keep(f func() (int, error)) (v int, err error, log string) {
	var b bytes.Buffer
	v, err = Keep(context.Background(), slog.New(slog.NewTextHandler(&b, nil)), "it_panicked", errInstead, f)
	return v, err, b.String()
}

func mistaken(v any) (int, error) { return len(v.(string)), nil }

func TestAMistakeIsRefusedAndItsPlaceIsLogged(t *testing.T) {
	v, err, log := keep(func() (int, error) { return mistaken(nil) })
	if v != 0 || !errors.Is(err, errInstead) {
		t.Errorf("got %d, %v", v, err)
	}
	if !strings.Contains(log, "it_panicked") || !strings.Contains(log, "mistake.mistaken:") {
		t.Errorf("the log does not say where: %s", log)
	}
	if _, err, log := keep(func() (int, error) { var m map[string]int; m["Sample"] = 1; return 1, nil }); !errors.Is(err, errInstead) || strings.Contains(log, "Sample") {
		t.Errorf("got %v, %s", err, log)
	}
}

func TestWhatIsNoMistakeGoesOn(t *testing.T) {
	own := errors.New("own")
	if v, err, log := keep(func() (int, error) { return 7, own }); v != 7 || !errors.Is(err, own) || log != "" {
		t.Errorf("got %d, %v, %s", v, err, log)
	}
	defer func() {
		if p := recover(); p != "halt" {
			t.Errorf("got %v", p)
		}
	}()
	keep(func() (int, error) { panic("halt") })
	t.Error("a decision to halt is kept")
}
