package badger

import (
	"testing"

	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/storagetest"
)

func mustOpen(tb testing.TB, dir string, opts Options) *Store {
	tb.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) storage.Store {
		t.Helper()
		return mustOpen(t, t.TempDir(), Options{})
	})
}

func TestStoreOnDisk(t *testing.T) {
	t.Parallel()
	storagetest.RunDurable(t, func(t *testing.T, dir string) storage.Store {
		t.Helper()
		return mustOpen(t, dir, Options{})
	})
}
