package badger

import (
	"fmt"

	"github.com/annex-gateway/annex/storage"
)

// space watches the room on the file system: on a full one Badger's writes to
// mapped memory end the process.
type space struct {
	dir  string
	min  int64 // no limit when negative
	free func(dir string) (int64, error)
}

// check asks for room for n more bytes.
func (s space) check(n int64) error {
	if s.min < 0 {
		return nil
	}
	free, err := s.free(s.dir)
	switch {
	case err != nil:
		return fmt.Errorf("%w: cannot tell the free space of data directory %s: %w", storage.ErrReadOnly, s.dir, err)
	case free < s.min+n:
		return fmt.Errorf("%w: the file system of data directory %s has %d MiB free and must keep %d MiB; free some space",
			storage.ErrReadOnly, s.dir, free>>20, s.min>>20)
	}
	return nil
}

// checkOpen asks for the room that opening needs: logs are replayed and written
// out as tables.
func (s space) checkOpen() error {
	if s.min < 0 {
		return nil
	}
	free, err := s.free(s.dir)
	switch {
	case err != nil:
		return fmt.Errorf("cannot tell the free space of data directory %s: %w", s.dir, err)
	case free < s.min/2:
		return fmt.Errorf("the file system of data directory %s has %d MiB free; opening it needs %d MiB: free some space",
			s.dir, free>>20, s.min>>21)
	}
	return nil
}
