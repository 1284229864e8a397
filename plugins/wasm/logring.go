package wasm

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/annex-gateway/annex/core"
)

const (
	keptLines = 500     // of one system
	keptBytes = 1 << 20 // of their text
	keptLogs  = 256     // systems whose lines are kept
)

// logRing keeps the last lines that the guests of one system wrote.
type logRing struct {
	mu    sync.Mutex
	lines []core.LogLine // line n is at n % keptLines
	count uint64         // lines there ever were
	first uint64         // the oldest line that is kept
	bytes int            // of the texts of those that are
	wake  chan struct{}  // closed when there is another one
}

func (r *logRing) add(level slog.Level, call, text string) {
	l := core.LogLine{Time: time.Now(), Level: level, Call: call, Text: text}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count-r.first == keptLines {
		r.forget()
	}
	if len(r.lines) < keptLines {
		r.lines = append(r.lines, l)
	} else {
		r.lines[r.count%keptLines] = l
	}
	r.count++
	r.bytes += len(text)
	for r.bytes > keptBytes {
		r.forget()
	}
	if r.wake != nil {
		close(r.wake)
		r.wake = nil
	}
}

// forget lets go of the oldest line.
func (r *logRing) forget() {
	oldest := &r.lines[r.first%keptLines]
	r.bytes -= len(oldest.Text)
	*oldest = core.LogLine{}
	r.first++
}

// since gives the lines from number n on that are still kept, the number of
// the next one, and what to wait for when there are none.
func (r *logRing) since(n uint64) ([]core.LogLine, uint64, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n = max(n, r.first)
	var out []core.LogLine
	for ; n < r.count; n++ {
		out = append(out, r.lines[n%keptLines])
	}
	if r.wake == nil {
		r.wake = make(chan struct{})
	}
	return out, r.count, r.wake
}

// logBook has the ring of each system, also of one that is gone: that is when
// people look.
type logBook struct {
	mu    sync.Mutex
	rings map[string]*logRing // by the system's id
	order []string            // in which they came
}

func (b *logBook) ring(system string) *logRing {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.rings[system]; r != nil {
		return r
	}
	if b.rings == nil {
		b.rings = map[string]*logRing{}
	}
	if len(b.order) >= keptLogs {
		delete(b.rings, b.order[0]) // who writes to it goes on; nobody reads it
		b.order = b.order[1:]
	}
	r := &logRing{}
	b.rings[system] = r
	b.order = append(b.order, system)
	return r
}

// Logs yields the last lines that the guests of a system wrote, the oldest
// first, and with follow those that come, until ctx ends.
func (k *Kind) Logs(ctx context.Context, systemID string, follow bool) iter.Seq[core.LogLine] {
	ring := k.logs.ring(systemID)
	return func(yield func(core.LogLine) bool) {
		n := uint64(0)
		for {
			lines, next, wake := ring.since(n)
			for _, l := range lines {
				if !yield(l) {
					return
				}
			}
			if n = next; !follow {
				return
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return
			}
		}
	}
}
