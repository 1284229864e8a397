package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
)

// inspect refuses a directory that Badger would open with a part of the data
// missing. It changes nothing.
func inspect(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("data directory %s cannot be read: %w", dir, err)
	}
	var tables, logs []string
	data, manifest := "", false
	for _, f := range files {
		switch name := f.Name(); {
		case name == badger.ManifestFilename:
			manifest = true
		case strings.HasSuffix(name, ".sst"):
			tables, data = append(tables, name), name
		case strings.HasSuffix(name, ".mem"):
			logs, data = append(logs, name), name
		case strings.HasSuffix(name, ".vlog"):
			data = name
		}
	}
	switch {
	case !manifest && data == "":
		return nil // a new directory
	case !manifest:
		return damaged(dir, badger.ManifestFilename, fmt.Errorf("the file is missing, though there is %s", data))
	}
	listed, err := readManifest(dir)
	if err != nil {
		return err
	}
	recent, err := inspectLogs(dir, logs)
	if err != nil {
		return err
	}
	return inspectTables(dir, tables, listed, recent)
}

func damaged(dir, file string, err error) error {
	return fmt.Errorf("data directory %s: %s is damaged; restore the directory from a backup: %w", dir, file, err)
}

// readManifest returns the tables that make up the database.
func readManifest(dir string) (map[uint64]badger.TableManifest, error) {
	path := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data directory %s cannot be read: %w", dir, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil || string(head[:4]) != "Bdgr" {
		return nil, damaged(dir, badger.ManifestFilename, errors.New("it does not begin as it should"))
	}
	switch format, engine := binary.BigEndian.Uint16(head[4:]), binary.BigEndian.Uint16(head[6:]); {
	case format > formatVersion:
		return nil, fmt.Errorf("data directory %s was written by a newer release (%s has format %d, this release reads %d); use that release",
			dir, badger.ManifestFilename, format, formatVersion)
	case format != formatVersion:
		return nil, fmt.Errorf("data directory %s holds a database that is not ours (%s has format %d, not %d); choose another directory",
			dir, badger.ManifestFilename, format, formatVersion)
	case engine != engineVersion:
		return nil, fmt.Errorf("data directory %s was written by another version of the database engine (%s has version %d, this release reads %d)",
			dir, badger.ManifestFilename, engine, engineVersion)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("data directory %s cannot be read: %w", dir, err)
	}
	m, _, err := badger.ReplayManifestFile(f, formatVersion, settings(dir, nil))
	if err != nil {
		return nil, damaged(dir, badger.ManifestFilename, err)
	}
	return m.Tables, nil
}

// engineVersion is what Badger itself writes into the MANIFEST.
const engineVersion = 8

// inspectTables verifies the tables that the MANIFEST lists. The others are
// leftovers of a crash, which Badger deletes: what is in them must be elsewhere
// too, or the MANIFEST has lost its end.
func inspectTables(dir string, files []string, listed map[uint64]badger.TableManifest, recent span) error {
	var newest uint64
	type leftover struct {
		file string
		max  uint64
	}
	var leftovers []leftover
	found := 0
	for _, file := range files {
		id, ok := table.ParseFileID(file)
		if !ok {
			continue
		}
		_, wanted := listed[id]
		highest, err := inspectTable(filepath.Join(dir, file))
		switch {
		case wanted && err != nil:
			return damaged(dir, file, err)
		case wanted:
			found++
			newest = max(newest, highest)
		case err == nil:
			leftovers = append(leftovers, leftover{file, highest})
		}
	}
	if found < len(listed) {
		for id := range listed {
			name := table.IDToFilename(id)
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				return damaged(dir, name, errors.New("the file is missing"))
			}
		}
	}
	for _, l := range leftovers {
		if l.max > newest && !recent.has(l.max) {
			return damaged(dir, badger.ManifestFilename, fmt.Errorf("it does not list %s, which has data that is nowhere else", l.file))
		}
	}
	return nil
}

// inspectTable verifies every checksum of a table and returns the highest
// version in it.
func inspectTable(path string) (highest uint64, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	if err := inspectIndex(data); err != nil {
		return 0, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("its blocks cannot be decoded")
		}
	}()
	t, err := table.OpenInMemoryTable(data, 0, &table.Options{
		ReadOnly: true, BlockSize: 4 << 10, Compression: options.Snappy, ChkMode: options.OnBlockRead,
	})
	if err != nil {
		return 0, err
	}
	if err := t.VerifyChecksum(); err != nil {
		return 0, err
	}
	return t.MaxVersion(), nil
}
