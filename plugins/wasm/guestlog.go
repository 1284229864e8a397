package wasm

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxLogLine is the greatest length of a line that a guest may log.
const maxLogLine = 32 << 10

// logText makes a line of what a guest gave: the first bytes of so many.
func logText(first []byte, of uint32) string {
	text := strings.ToValidUTF8(string(first), "\uFFFD")
	if cut := int64(of) - int64(len(first)); cut > 0 {
		text += fmt.Sprintf(" … (%d more bytes)", cut)
	}
	return text
}

// guestLog keeps what guests of one system say, and writes it into the host's
// log: there in a second no more than so many warnings and errors, and so many
// other lines. What is said of every call must not keep out what is said of an
// attack.
type guestLog struct {
	log   *slog.Logger
	ring  *logRing
	limit int

	mu      sync.Mutex
	second  int64
	lines   [2]int // others, and warnings and errors
	dropped int    // since the last line that was written

	allDropped atomic.Uint64
}

func (l *guestLog) enabled(ctx context.Context, level slog.Level) bool {
	return l.log.Enabled(ctx, level)
}

func (l *guestLog) write(ctx context.Context, level slog.Level, requestID, text string) {
	l.ring.add(level, requestID, text)
	dropped, ok := l.admit(time.Now().Unix(), level)
	if !ok {
		return
	}
	if dropped > 0 {
		l.log.WarnContext(ctx, "the extension logs too much; lines were dropped", "dropped", dropped)
	}
	attrs := []any{"text", text}
	if requestID != "" {
		attrs = append(attrs, "request", requestID)
	}
	l.log.Log(ctx, level, "extension says", attrs...)
}

func (l *guestLog) admit(now int64, level slog.Level) (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now != l.second {
		dropped = l.dropped
		l.second, l.lines, l.dropped = now, [2]int{}, 0
	}
	n := &l.lines[0]
	if level >= slog.LevelWarn {
		n = &l.lines[1]
	}
	if *n >= l.limit {
		l.dropped++
		l.allDropped.Add(1)
		return 0, false
	}
	*n++
	return dropped, true
}
