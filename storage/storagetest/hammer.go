package storagetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/annex-gateway/annex/storage"
)

var hammerTests = []test{
	{"counters with optimistic updates lose nothing", func(e *env) {
		const writers, rounds = 8, 25
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for range rounds {
					increment(e, "shared", "own/"+strconv.Itoa(w))
				}
			})
		}
		wg.Wait()
		e.holds("shared", strconv.Itoa(writers*rounds))
		for w := range writers {
			e.holds("own/"+strconv.Itoa(w), strconv.Itoa(rounds))
		}
	}},
	{"only one of many creators of a key succeeds", func(e *env) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := map[string]int{}
		for range 16 {
			wg.Go(func() {
				for i := range 10 {
					key := "k/" + strconv.Itoa(i)
					_, err := e.s.Commit(e.ctx, write(key, "1", storage.Absent()))
					var conflict *storage.ConflictError
					switch {
					case err == nil:
						mu.Lock()
						won[key]++
						mu.Unlock()
					case !errors.As(err, &conflict):
						e.Errorf("Commit: %v", err)
					}
				}
			})
		}
		wg.Wait()
		for i := range 10 {
			if n := won["k/"+strconv.Itoa(i)]; n != 1 {
				e.Errorf("key %d was created %d times", i, n)
			}
		}
	}},
	{"concurrent commits have different revisions", func(e *env) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := map[storage.Revision]bool{}
		for w := range 16 {
			wg.Go(func() {
				last := storage.Revision(0)
				for range 10 {
					rev, err := e.s.Commit(e.ctx, put(fmt.Sprintf("k/%d", w), "1"))
					mu.Lock()
					if err != nil || rev <= last || seen[rev] {
						e.Errorf("commit %d after %d, seen %v: %v", rev, last, seen[rev], err)
					}
					seen[rev], last = true, rev
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}},
	{"transfers between accounts never show half done", transfers},
}

// increment adds one to both keys in one commit, and tries until it succeeds.
func increment(e *env, keys ...string) {
	for {
		var c storage.Commit
		for _, key := range keys {
			n, cond := 0, storage.Absent()
			switch got, err := e.s.Get(e.ctx, key); {
			case err == nil:
				n, _ = strconv.Atoi(string(got.Value))
				cond = storage.Rev(got.Revision)
			case !errors.Is(err, storage.ErrNotFound):
				e.Errorf("Get: %v", err)
				return
			}
			c.Writes = append(c.Writes, storage.Write{Key: key, Value: []byte(strconv.Itoa(n + 1)), If: cond})
		}
		_, err := e.s.Commit(e.ctx, c)
		var conflict *storage.ConflictError
		if err == nil {
			return
		}
		if !errors.As(err, &conflict) {
			e.Errorf("Commit: %v", err)
			return
		}
	}
}

// transfers moves amounts about while others check the sum.
func transfers(e *env) {
	const accounts, sum, writers, rounds = 5, 500, 4, 25
	var open storage.Commit
	for i := range accounts {
		open.Writes = append(open.Writes, storage.Write{Key: account(i), Value: []byte(strconv.Itoa(sum / accounts))})
	}
	e.commit(open)
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	reading.Go(func() {
		for {
			if got := total(e); got != sum {
				e.Errorf("the accounts sum up to %d, want %d", got, sum)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for w := range writers {
		writing.Go(func() {
			for i := range rounds {
				transfer(e, account((w+i)%accounts), account((w+2*i+1)%accounts))
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	if got := total(e); got != sum {
		e.Errorf("in the end the accounts sum up to %d, want %d", got, sum)
	}
}

func account(i int) string { return "account/" + strconv.Itoa(i) }

func total(e *env) (sum int) {
	for entry, err := range e.s.List(e.ctx, "account/") {
		if err != nil {
			e.Errorf("List: %v", err)
		}
		n, _ := strconv.Atoi(string(entry.Value))
		sum += n
	}
	return sum
}

func transfer(e *env, from, to string) {
	for from != to {
		a, errA := e.s.Get(e.ctx, from)
		b, errB := e.s.Get(e.ctx, to)
		if err := errors.Join(errA, errB); err != nil {
			e.Errorf("Get: %v", err)
			return
		}
		x, _ := strconv.Atoi(string(a.Value))
		y, _ := strconv.Atoi(string(b.Value))
		_, err := e.s.Commit(e.ctx, storage.Commit{Writes: []storage.Write{
			{Key: from, Value: []byte(strconv.Itoa(x - 1)), If: storage.Rev(a.Revision)},
			{Key: to, Value: []byte(strconv.Itoa(y + 1)), If: storage.Rev(b.Revision)},
		}})
		var conflict *storage.ConflictError
		if errors.As(err, &conflict) {
			continue
		}
		if err != nil {
			e.Errorf("Commit: %v", err)
		}
		return
	}
}
