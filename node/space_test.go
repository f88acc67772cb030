package node

import (
	"errors"
	"math"
	"testing"

	"salus/gateway/rest"
	"salus/record"
)

// TestTheReserveIsMeasuredByTheDisk says what is left free, for each size of disk and each configuration.
func TestTheReserveIsMeasuredByTheDisk(t *testing.T) {
	failed := errors.New("no such disk")
	for _, tt := range []struct {
		name                 string
		reserve, free, total int64
		bytes                int
		err, want            error
	}{
		{"a large disk keeps 1 GiB", 0, 1 << 30, 1 << 40, 0, nil, nil},
		{"and not a byte less", 0, 1<<30 - 1, 1 << 40, 0, nil, record.ErrNoSpace},
		{"with what comes in", 0, 1<<30 + 99, 1 << 40, 100, nil, record.ErrNoSpace},
		{"that fits exactly", 0, 1<<30 + 100, 1 << 40, 100, nil, nil},
		{"a smaller disk keeps 2 %", 0, 200 << 20, 10_000 << 20, 0, nil, nil},
		{"and not a byte less", 0, 200<<20 - 1, 10_000 << 20, 0, nil, record.ErrNoSpace},
		{"the smallest keeps 64 MiB", 0, 64<<20 - 1, 256 << 20, 0, nil, record.ErrNoSpace},
		{"as configured", 5 << 30, 5<<30 - 1, 1 << 40, 0, nil, record.ErrNoSpace},
		{"as configured", 5 << 30, 5 << 30, 1 << 40, 0, nil, nil},
		{"never less than 64 MiB", 1, 64<<20 - 1, 1 << 40, 0, nil, record.ErrNoSpace},
		{"a disk of no known end", 0, math.MaxInt64, math.MaxInt64, math.MaxInt32, nil, nil},
		{"a full disk", 0, 0, 1 << 40, math.MaxInt32, nil, record.ErrNoSpace},
		{"a disk that cannot be asked takes nothing", 0, 1 << 40, 1 << 40, 0, failed, failed},
	} {
		s := &space{reserve: tt.reserve, measure: func() (int64, int64, error) { return tt.free, tt.total, tt.err }}
		if err := s.room(tt.bytes); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		want := tt.want
		if errors.Is(want, record.ErrNoSpace) {
			want = rest.ErrNoSpace
		}
		if err := s.fhir(tt.bytes); !errors.Is(err, want) {
			t.Errorf("%s, over FHIR: got %v, want %v", tt.name, err, want)
		}
	}
}

// TestALowDiskIsSaidOnceAndThatItIsOver keeps the log from a line for each request.
func TestALowDiskIsSaidOnceAndThatItIsOver(t *testing.T) {
	free, said := int64(0), []bool{}
	s := &space{measure: func() (int64, int64, error) { return free, 1 << 40, nil }, said: func(low bool, _, _ int64) { said = append(said, low) }}
	for _, free = range []int64{1 << 40, 0, 0, 1 << 40, 1 << 40} {
		_ = s.room(1)
	}
	if len(said) != 2 || !said[0] || said[1] {
		t.Errorf("got %v, want low and then not low, once each", said)
	}
	if free, total, err := diskOf(t.TempDir())(); err != nil || free <= 0 || total < free {
		t.Errorf("this disk: got %d of %d, %v", free, total, err)
	}
}
