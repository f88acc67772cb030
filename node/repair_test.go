package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"salus/ledger/tx"
	"salus/vault"
)

// holders are members by what they answer when they are asked for a pack.
type holders map[tx.Account]func() (io.Reader, error)

// Download implements downloader.
func (h holders) Download(_ context.Context, to tx.Account, _, _ string) (io.ReadCloser, int64, error) {
	r, err := h[to]()
	if err != nil {
		return nil, 0, err
	}
	return io.NopCloser(r), 0, nil
}

// TestALyingHolderDoesNotKeepAPackFromBeingMended: whatever the first member that is asked answers, the next is asked.
func TestALyingHolderDoesNotKeepAPackFromBeingMended(t *testing.T) {
	pack := []byte("bytes of a pack")
	id := vault.IDOf(pack)
	errDown := errors.New("unreachable")
	give := func(b []byte) func() (io.Reader, error) {
		return func() (io.Reader, error) { return bytes.NewReader(b), nil }
	}
	fail := func(err error) func() (io.Reader, error) { return func() (io.Reader, error) { return nil, err } }
	broken := func() (io.Reader, error) {
		return io.MultiReader(bytes.NewReader(pack[:5]), brokenReader{}), nil
	}
	first, second := tx.Account{1}, tx.Account{2}
	for name, c := range map[string]struct {
		first, second func() (io.Reader, error)
		want          error // nil: the pack
	}{
		"other bytes, then the pack":      {give([]byte("other bytes")), give(pack), nil},
		"less, then the pack":             {give(pack[:4]), give(pack), nil},
		"more, then the pack":             {give(append(bytes.Clone(pack), 1)), give(pack), nil},
		"an end too early, then the pack": {broken, give(pack), nil},
		"not here, then the pack":         {fail(errNoPack), give(pack), nil},
		"nobody has it":                   {fail(errNoPack), fail(errNoPack), vault.ErrNotFound},
		"somebody may have it":            {fail(errDown), fail(errNoPack), errDown},
		"somebody says that it has it":    {give(nil), fail(errNoPack), errOtherPack},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fetchPack(t.Context(), holders{first: c.first, second: c.second}, []tx.Account{first, second}, id)
			if c.want != nil {
				if !errors.Is(err, c.want) || got != nil || c.want != vault.ErrNotFound && errors.Is(err, vault.ErrNotFound) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(got); err != nil || !bytes.Equal(b, pack) {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
}

type brokenReader struct{}

// Read fails.
func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
