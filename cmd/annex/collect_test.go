package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestGarbageMayGatherUpToTheAllowance(t *testing.T) {
	c := &collector{allowance: 128 << 20, least: least}
	for live, want := range map[uint64]int{0: 3200, 16 << 20: 800, 64 << 20: 200, 128 << 20: 100, 8 << 30: 100} {
		if got := c.percentAt(live); got != want {
			t.Errorf("%d bytes live: got %d %%, want %d %%", live, got, want)
		}
	}
}

func TestTheAllowanceIsLessWhereMemoryIsSmall(t *testing.T) {
	for limit, want := range map[string]uint64{"": allowance, "max\n": allowance, "536870912\n": 32 << 20, "17179869184\n": allowance} {
		if got := allowanceWithin([]byte(limit)); got != want {
			t.Errorf("memory.max %q: got %d, want %d", limit, got, want)
		}
	}
}

func TestACollectionIsFollowedByTheNextOnesTime(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	before := set()
	runtime.GC() // what other tests left is not live
	c := collectSeldom()
	kept := make([][]byte, 0, 64)
	c.started()
	small := set()
	for range cap(kept) {
		kept = append(kept, make([]byte, 4<<20))
	}
	for set() > least*9/8 { // 256 MiB and more are live; what is near enough is left alone
		runtime.GC()
		time.Sleep(time.Millisecond) // finalizers run on their own
	}
	runtime.KeepAlive(kept)
	if err := c.stop(); err != nil {
		t.Fatal(err)
	}
	if small <= 100 || set() != before {
		t.Errorf("with little live it was %d %%, and in the end it is %d %%, not %d %%", small, set(), before)
	}
}

// set is the percentage that is set. To ask by setting another one would take
// back what a finalizer sets meanwhile.
func set() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}

func TestTheEnvironmentSaysWhenGarbageIsCollected(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv("GOGC", "")
		t.Setenv("GOMEMLIMIT", "")
		t.Setenv(name, "300")
		before := debug.SetGCPercent(100)
		c := collectSeldom()
		c.started()
		if p := debug.SetGCPercent(before); p != 100 {
			t.Errorf("%s is set, and the gateway sets %d %%", name, p)
		}
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestAStartCollectsSeldomHoweverMuchItKeeps(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	c := collectSeldom()
	defer func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	}()
	if got := c.percentAt(1 << 30); got != leastAtStart {
		t.Errorf("while it starts: %d %%", got)
	}
	c.started()
	if got := c.percentAt(1 << 30); got != least {
		t.Errorf("when it has started: %d %%", got)
	}
}
