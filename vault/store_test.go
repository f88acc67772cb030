package vault_test

import (
	"testing"

	"salus/vault"
	"salus/vault/vaulttest"
)

func TestBackends(t *testing.T) {
	t.Run("Disk", func(t *testing.T) {
		vaulttest.TestBackend(t, func(t *testing.T) vault.Backend {
			d, err := vault.NewDisk(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return d
		})
	})
	t.Run("Memory", func(t *testing.T) {
		vaulttest.TestBackend(t, func(*testing.T) vault.Backend { return vault.NewMemory(0) })
	})
	t.Run("Sim", func(t *testing.T) {
		vaulttest.TestBackend(t, func(*testing.T) vault.Backend { return vaulttest.NewSim(1, nil) })
	})
}

func TestStores(t *testing.T) {
	run := func(name string, fresh func(t *testing.T) (dir string, b vault.Backend)) {
		t.Run(name, func(t *testing.T) {
			var dir string
			var b vault.Backend
			vaulttest.TestStore(t, func(t *testing.T, again bool) *vault.Store {
				if !again {
					dir, b = fresh(t)
				}
				s, err := vault.Open(dir, vault.Options{Backend: b, SegmentSize: 64 << 10})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				return s
			})
		})
	}
	run("Disk", func(t *testing.T) (string, vault.Backend) { return t.TempDir(), nil })
	run("Memory", func(*testing.T) (string, vault.Backend) { return "", vault.NewMemory(0) })
	run("MemoryWithIndexOnDisk", func(t *testing.T) (string, vault.Backend) { return t.TempDir(), vault.NewMemory(0) })
}
