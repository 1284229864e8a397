package badger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-gateway/annex/storage"
)

func TestADirectoryIsUsedByOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	_, err := Open(dir, Options{})
	if err == nil || err.Error() != "data directory "+dir+" is in use by another process" {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, dir, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryIsMadeForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	defer mustOpen(t, dir, Options{}).Close()
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm()&0o077 != 0 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
}

func TestADirectoryThatIsAFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, Options{}); err == nil || !strings.Contains(err.Error(), path) {
		t.Fatalf("got %v", err)
	}
}

// The commits of the directories below: small and large values, in order.
const sampleCommits = 40

func fill(t *testing.T, s *Store) {
	t.Helper()
	for i := range sampleCommits {
		mustCommit(t, s, storage.Commit{Writes: []storage.Write{
			{Key: fmt.Sprintf("small/%03d", i), Value: bytes.Repeat([]byte("s"), 100)},
			{Key: fmt.Sprintf("large/%03d", i), Value: bytes.Repeat([]byte("l"), 5000)},
		}})
	}
}

// closedDir is a directory as it is left by Close, with two tables.
func closedDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for range 2 {
		s := mustOpen(t, dir, Options{})
		fill(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// crashedDir is a directory as it is left by kill -9, with a log to replay.
func crashedDir(t *testing.T) string {
	t.Helper()
	dir, copied := t.TempDir(), t.TempDir()
	s := mustOpen(t, dir, Options{})
	defer s.Close()
	fill(t, s)
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return copied
}

// file finds the first or last file of dir with a name that matches.
func file(t *testing.T, dir, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s in %s: %v", pattern, dir, err)
	}
	for _, name := range names {
		if st, err := os.Stat(name); err == nil && st.Size() > 100 {
			return name
		}
	}
	return names[0]
}

func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if data = change(data); data == nil {
		err = os.Remove(path)
	} else {
		err = os.WriteFile(path, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func gone([]byte) []byte  { return nil }
func empty([]byte) []byte { return []byte{} }

func half(data []byte) []byte { return data[:len(data)/2] }

func flip(at int) func([]byte) []byte {
	return func(data []byte) []byte {
		if at < 0 {
			at = len(data) / -at
		}
		data[at] ^= 0x55
		return data
	}
}

// used is data up to its last byte that is not zero.
func used(data []byte) []byte { return bytes.TrimRight(data, "\x00") }

func TestDamagedFilesAreRefusedAndNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		dir    func(*testing.T) string
		file   string
		change func([]byte) []byte
		want   string
	}{
		{"a missing manifest", closedDir, "MANIFEST", gone, "MANIFEST"},
		{"a missing manifest after a crash", crashedDir, "MANIFEST", gone, "MANIFEST"},
		{"an empty manifest", closedDir, "MANIFEST", empty, "MANIFEST"},
		{"a manifest that has lost its end", closedDir, "MANIFEST", func(d []byte) []byte { return d[:8] }, "MANIFEST"},
		{"a manifest that has lost some", closedDir, "MANIFEST", half, "MANIFEST"},
		{"a flipped byte in the manifest", closedDir, "MANIFEST", flip(-2), "MANIFEST"},
		{"a manifest of something else", closedDir, "MANIFEST", func([]byte) []byte { return []byte("Main-Class: Example") }, "MANIFEST"},
		{"a missing table", closedDir, "*.sst", gone, ".sst"},
		{"an empty table", closedDir, "*.sst", empty, ".sst"},
		{"half a table", closedDir, "*.sst", half, ".sst"},
		{"a table of zeros", closedDir, "*.sst", func(d []byte) []byte { return make([]byte, len(d)) }, ".sst"},
		{"a flipped byte at the start of a table", closedDir, "*.sst", flip(10), ".sst"},
		{"a flipped byte in a table", closedDir, "*.sst", flip(-2), ".sst"},
		{"a flipped byte at the end of a table", closedDir, "*.sst", func(d []byte) []byte { d[len(d)-1] ^= 1; return d }, ".sst"},
		{"a flipped byte in the index of a table", closedDir, "*.sst", func(d []byte) []byte { d[len(d)-40] ^= 1; return d }, ".sst"},
		{"a flipped byte early in a log", crashedDir, "*.mem", flip(60), ".mem"},
		{"a flipped byte in a log", crashedDir, "*.mem", func(d []byte) []byte { d[len(used(d))/2] ^= 1; return d }, ".mem"},
		{"a log that was cut off", crashedDir, "*.mem", func(d []byte) []byte { return d[:len(used(d))-7] }, ".mem"},
		{"a log that was cut off in its header", crashedDir, "*.mem", func(d []byte) []byte { return d[:10] }, ".mem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := tt.dir(t)
			edit(t, file(t, dir, tt.file), tt.change)
			for range 2 { // the refusal itself spoils nothing
				s, err := Open(dir, Options{})
				if err == nil {
					_ = s.Close()
					t.Fatal("the directory was opened")
				}
				if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("the error does not name the file: %v", err)
				}
			}
		})
	}
}

func TestATornEndOfALogLosesOnlyWhatWasNotAcknowledged(t *testing.T) {
	t.Parallel()
	dir := crashedDir(t)
	edit(t, file(t, dir, "*.mem"), func(d []byte) []byte { // the last commit did not reach the disk
		d[len(used(d))-30] ^= 1
		return d
	})
	s := mustOpen(t, dir, Options{})
	defer s.Close()
	n := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2*(sampleCommits-1) {
		t.Fatalf("%d entries, want those of all commits but the last, %d", n, 2*(sampleCommits-1))
	}
	if rev := mustCommit(t, s, set("a", "1")); rev != sampleCommits {
		t.Fatalf("the next revision is %d, want %d", rev, sampleCommits)
	}
}

func TestLeftoversOfACrashDoNotMatter(t *testing.T) {
	t.Parallel()
	dir := crashedDir(t)
	for name, data := range map[string][]byte{"000099.sst": []byte("half a table"), "00099.mem": nil, "000099.vlog": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, dir, Options{})
	defer s.Close()
	mustHold(t, s, "small/039", strings.Repeat("s", 100))
}

func TestADamagedValueIsAnErrorAndNotAnEmptyValue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func([]byte) []byte
	}{
		{"flipped", flip(4000)},
		{"gone", gone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := closedDir(t)
			edit(t, file(t, dir, "*2.vlog"), tt.change) // the newest values are in the second file
			s, err := Open(dir, Options{})
			if err != nil {
				if !strings.Contains(err.Error(), dir) {
					t.Fatalf("the error does not name the directory: %v", err)
				}
				return
			}
			defer s.Close()
			if _, err := s.Get(t.Context(), "large/000"); err == nil || errors.Is(err, storage.ErrNotFound) || !strings.Contains(err.Error(), dir) {
				t.Errorf("Get: %v", err)
			}
			var last error
			for _, err := range s.List(t.Context(), "") {
				last = err
			}
			if last == nil || !strings.Contains(last.Error(), "large/0") {
				t.Errorf("List: %v", last)
			}
			c := set("large/000", "1")
			c.Writes[0].If = storage.Rev(1)
			if _, err := s.Commit(t.Context(), c); err == nil {
				t.Error("Commit: nil")
			}
			mustCommit(t, s, set("other", "1"))
		})
	}
}

func TestAnotherFormatIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		at     int
		format uint16
		want   string
	}{
		{"a newer format", 4, formatVersion + 1, "newer release"},
		{"somebody else's database", 4, 0, "not ours"},
		{"another engine", 6, 99, "another version of the database engine"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := closedDir(t)
			edit(t, file(t, dir, "MANIFEST"), func(d []byte) []byte {
				binary.BigEndian.PutUint16(d[tt.at:], tt.format)
				return d
			})
			if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func FuzzInspect(f *testing.F) {
	f.Add([]byte("!badger!txn"))
	f.Add(append(make([]byte, logHeader), 0x80, 0, 19, 1, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		var all span
		good, lost := inspectLog(data, &all)
		if good < logHeader || lost < 0 || (good > len(data) && len(data) >= logHeader) {
			t.Fatalf("good %d, lost %d of %d bytes", good, lost, len(data))
		}
		if inspectIndex(data) == nil && len(data) < 10 {
			t.Fatal("an index out of nothing")
		}
	})
}
