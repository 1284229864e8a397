package memory_test

import (
	"testing"

	"github.com/annex-gateway/annex/storage"
	"github.com/annex-gateway/annex/storage/memory"
	"github.com/annex-gateway/annex/storage/storagetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(*testing.T) storage.Store { return memory.New() })
}
