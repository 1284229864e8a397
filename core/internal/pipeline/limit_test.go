package pipeline

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestALimitEndsLikeAnyContext holds what context promises, whether or not
// somebody waits from the beginning.
func TestALimitEndsLikeAnyContext(t *testing.T) {
	type key struct{}
	far := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		deadline time.Time
		end      func(l *limited, cancel context.CancelFunc)
		want     error
	}{
		"nobody ends it":                  {far, func(*limited, context.CancelFunc) {}, nil},
		"the visit ends":                  {far, func(l *limited, _ context.CancelFunc) { l.end(time.Now()) }, context.Canceled},
		"the call ends":                   {far, func(_ *limited, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"the time is over":                {time.Now(), func(*limited, context.CancelFunc) {}, context.DeadlineExceeded},
		"it ends after the time was over": {time.Now(), func(l *limited, _ context.CancelFunc) { l.end(time.Now()) }, context.DeadlineExceeded},
		"the call ends after the visit":   {far, func(l *limited, cancel context.CancelFunc) { l.end(time.Now()); cancel() }, context.Canceled},
	} {
		for _, early := range []bool{false, true} {
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "v"))
			l := limit(ctx, c.deadline)
			child, stop := context.Context(l), func() { l.end(time.Now()) }
			if early {
				l.Done()
				child, stop = context.WithCancel(l)
			}
			c.end(l, cancel)
			if early && c.want != nil {
				<-child.Done()
			}
			if err := l.Err(); !errors.Is(err, c.want) || !errors.Is(child.Err(), c.want) {
				t.Errorf("%s, waited for %v: got %v and %v, want %v", name, early, err, child.Err(), c.want)
			}
			if c.want != nil {
				<-l.Done() // also of one that nobody waited for before it ended
				if !errors.Is(l.Err(), c.want) || !errors.Is(context.Cause(l), c.want) {
					t.Errorf("%s: later it says %v, %v", name, l.Err(), context.Cause(l))
				}
			}
			if d, ok := l.Deadline(); !ok || !d.Equal(c.deadline) || l.Value(key{}) != "v" {
				t.Errorf("%s: deadline %v, value %v", name, d, l.Value(key{}))
			}
			stop()
			l.end(time.Now())
			cancel()
		}
	}
}

func TestALimitIsNoLaterThanTheCalls(t *testing.T) {
	near := time.Now().Add(time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), near)
	defer cancel()
	l := limit(ctx, near.Add(time.Hour))
	defer l.end(time.Now())
	if d, _ := l.Deadline(); !d.Equal(near) {
		t.Errorf("got %v", d)
	}
}

func TestALimitThatNobodyWaitsForIsOneAllocation(t *testing.T) {
	deadline := time.Now().Add(time.Hour)
	n := testing.AllocsPerRun(100, func() {
		l := limit(t.Context(), deadline)
		if l.Err() != nil {
			t.Error(l.Err())
		}
		l.end(time.Now())
	})
	if n > 1 {
		t.Errorf("%.0f allocations", n)
	}
}
