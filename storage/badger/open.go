package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// errInUse is a lock that another process holds.
var errInUse = errors.New("in use by another process")

// openDB inspects the directory before Badger opens it: what Badger does not
// find whole it would leave out without a word, or end the process.
func (s *Store) openDB() (*badger.DB, error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory %s cannot be made: %w", s.dir, err)
	}
	if err := s.space.checkOpen(); err != nil {
		return nil, err
	}
	if err := prepare(s.dir); err != nil {
		return nil, err
	}
	db, err := openManaged(settings(s.dir, s.trap))
	if err != nil {
		if lockRefused(err) {
			return nil, inUse(s.dir)
		}
		return nil, fmt.Errorf("data directory %s cannot be opened: %w", s.dir, err)
	}
	if err := syncDir(s.dir); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s cannot be synced: %w", s.dir, err), db.Close())
	}
	return db, nil
}

// openManaged turns a panic over damaged files into an error.
func openManaged(opts badger.Options) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("damaged files: %v", p)
		}
	}()
	return badger.OpenManaged(opts)
}

// prepare inspects the directory while nobody else has it open.
func prepare(dir string) error {
	unlock, held, err := lock(dir)
	if errors.Is(err, errInUse) {
		return inUse(dir)
	}
	if err != nil {
		return fmt.Errorf("data directory %s cannot be locked: %w", dir, err)
	}
	defer unlock()
	if err := inspect(dir); err != nil || !held {
		return err
	}
	return removeEmptyLogs(dir)
}

// removeEmptyLogs removes the files of a process that ended between making a
// log and giving it its size, over which Badger stumbles.
func removeEmptyLogs(dir string) error {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".mem") && !strings.HasSuffix(f.Name(), ".vlog") {
			continue
		}
		if st, statErr := f.Info(); statErr == nil && st.Size() == 0 {
			err = errors.Join(err, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("data directory %s cannot be tidied up: %w", dir, err)
	}
	return nil
}

func inUse(dir string) error { return fmt.Errorf("data directory %s is %w", dir, errInUse) }

// lockRefused knows Badger's words for a lock that another process holds.
func lockRefused(err error) bool {
	return strings.Contains(err.Error(), "Another process is using this Badger database")
}
