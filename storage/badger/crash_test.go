package badger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/annex-gateway/annex/storage"
)

const crashDirEnv = "ANNEX_TEST_CRASH_DIR"

// crashValue is the value of part i of a commit: small and large ones.
func crashValue(id string, i int) string { return strings.Repeat(id+";", 1+i*400) }

const crashParts = 3

// TestCrashChild is the process that is killed: it commits without end and
// says which commits have succeeded.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDirEnv)
	if dir == "" {
		t.Skip("this is a part of TestNothingAcknowledgedIsLostByKill")
	}
	s := mustOpen(t, dir, Options{})
	run := strconv.Itoa(os.Getpid())
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", run, w, i)
				var c storage.Commit
				for part := range crashParts {
					c.Writes = append(c.Writes, storage.Write{Key: fmt.Sprintf("c/%s/%d", id, part), Value: []byte(crashValue(id, part))})
				}
				rev, err := s.Commit(context.Background(), c)
				if err != nil {
					t.Errorf("Commit: %v", err)
					return
				}
				mu.Lock()
				_, err = fmt.Printf("acked %s %d\n", id, rev)
				mu.Unlock()
				if err != nil {
					return // the parent is gone
				}
			}
		})
	}
	wg.Wait()
}

func TestNothingAcknowledgedIsLostByKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acked := map[string]storage.Revision{}
	for round := range 10 {
		crash(t, dir, 5+17*round, acked)
		s := mustOpen(t, dir, Options{})
		verifyAcked(t, s, acked)
		if round%3 == 0 { // otherwise the next child finds what a clean end leaves
			mustCommit(t, s, set("between", strconv.Itoa(round)))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// crash runs a child until it has acknowledged n commits, and kills it.
func crash(t *testing.T, dir string, n int, acked map[string]storage.Revision) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	child := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	child.Env = append(os.Environ(), crashDirEnv+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var text []string
	for count := 0; lines.Scan(); {
		var id string
		var rev storage.Revision
		if _, err := fmt.Sscanf(lines.Text(), "acked %s %d", &id, &rev); err != nil {
			text = append(text, lines.Text())
			continue
		}
		acked[id] = rev
		if count++; count == n {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			n = -1
		}
	}
	_ = child.Wait() // killed
	if n != -1 {
		t.Fatalf("the child ended by itself: %s", strings.Join(text, "\n"))
	}
}

// verifyAcked checks that all acknowledged commits are there, and every commit
// wholly or not at all.
func verifyAcked(t *testing.T, s *Store, acked map[string]storage.Revision) {
	t.Helper()
	parts := map[string]int{}
	revs := map[string]storage.Revision{}
	for e, err := range s.List(t.Context(), "c/") {
		if err != nil {
			t.Fatal(err)
		}
		id, part, _ := strings.Cut(strings.TrimPrefix(e.Key, "c/"), "/")
		i, err := strconv.Atoi(part)
		if err != nil || string(e.Value) != crashValue(id, i) {
			t.Fatalf("%q has another value: %d bytes, %v", e.Key, len(e.Value), err)
		}
		if parts[id]++; parts[id] > 1 && revs[id] != e.Revision {
			t.Fatalf("%q is at %d, another part at %d", e.Key, e.Revision, revs[id])
		}
		revs[id] = e.Revision
	}
	for id, n := range parts {
		if n != crashParts {
			t.Errorf("commit %s has %d parts of %d", id, n, crashParts)
		}
	}
	for id, rev := range acked {
		if revs[id] != rev {
			t.Errorf("commit %s was acknowledged as %d and is at %d", id, rev, revs[id])
		}
	}
}
