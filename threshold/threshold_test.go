package threshold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestQuorumIsNMinusF(t *testing.T) {
	for _, c := range []struct{ n, f, t, q int }{
		{1, 0, 1, 1},
		{2, 0, 2, 2},
		{3, 0, 3, 3},
		{4, 1, 3, 3},
		{5, 1, 4, 4},
		{6, 1, 5, 5},
		{7, 2, 5, 5},
		{10, 3, 7, 7},
		{16, 5, 11, 11},
		{31, 10, 21, 21},
		{64, 21, 43, 43},
	} {
		f, th, q := Quorum(c.n)
		if f != c.f || th != c.t || q != c.q {
			t.Errorf("Quorum(%d): got %d %d %d, want %d %d %d", c.n, f, th, q, c.f, c.t, c.q)
		}
		if err := CheckParams(c.n, c.t); err != nil {
			t.Errorf("CheckParams(%d, %d): got %v, want nil", c.n, c.t, err)
		}
		if q <= c.n+f-th {
			t.Errorf("n=%d: got q = %d, want above n+f-t = %d", c.n, q, c.n+f-th)
		}
	}
}

func TestWeakOrUnreachableThresholdsAreRefused(t *testing.T) {
	for _, c := range []struct{ n, t int }{
		{0, 0}, {-1, 1}, {65, 44}, {1, 0}, {1, 2}, {4, 0}, {4, 1}, {4, 2}, {4, 4}, {7, 3}, {7, 4}, {7, 6}, {7, -5},
	} {
		if err := CheckParams(c.n, c.t); !errors.Is(err, ErrParams) {
			t.Errorf("CheckParams(%d, %d): got %v, want ErrParams", c.n, c.t, err)
		}
		if _, err := Deal(stream("refused"), 1, c.n, c.t); !errors.Is(err, ErrParams) {
			t.Errorf("Deal of %d of %d: got %v, want ErrParams", c.t, c.n, err)
		}
	}
	for _, count := range []int{-1, 0, MaxSecrets + 1} {
		if _, err := Deal(stream("refused"), count, 4, 3); !errors.Is(err, ErrParams) {
			t.Errorf("Deal of %d secrets: got %v, want ErrParams", count, err)
		}
	}
}

func TestSharesAndSecretsNeverPrint(t *testing.T) {
	d, err := Deal(stream("print"), 1, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "share", d.Shares[0][1], "secret", d.Secrets[0], "all", d.Shares)
	j, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	outs := []string{log.String(), string(j)}
	for _, v := range []string{"%v", "%+v", "%#v", "%x", "%s", "%q", "%d"} {
		outs = append(outs, fmt.Sprintf(v, d.Shares), fmt.Sprintf(v, d.Secrets), fmt.Sprintf(v, d.Shares[0][1]), fmt.Sprintf(v, &d.Secrets[0]))
	}
	outs = append(outs, d.Shares[0][1].String(), d.Secrets[0].String())
	for _, s := range []([32]byte){[32]byte(d.Shares[0][1]), [32]byte(d.Secrets[0])} {
		for _, form := range []string{fmt.Sprintf("%x", s), fmt.Sprintf("%d", s[:4])[1:8], fmt.Sprintf("%X", s)} {
			for _, o := range outs {
				if strings.Contains(o, form) {
					t.Errorf("got a share or secret in %.60q", o)
				}
			}
		}
	}
	for _, o := range outs {
		if !strings.Contains(o, redacted) {
			t.Errorf("got %.60q, want %q in it", o, redacted)
		}
	}
}
