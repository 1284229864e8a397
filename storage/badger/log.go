package badger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// dbLog passes Badger's messages on. It also listens: Badger only logs when the
// value log cannot be synced, and reports the commit as done.
type dbLog struct {
	log      *slog.Logger
	unsynced atomic.Pointer[string]
}

// unsyncedText begins the message of a value log that could not be synced.
const unsyncedText = "Error while curlf sync"

// syncError is set for good once the value log could not be synced.
func (l *dbLog) syncError() error {
	if text := l.unsynced.Load(); text != nil {
		return errors.New(*text)
	}
	return nil
}

// Errorf logs an error, and remembers it when it is about a lost sync.
func (l *dbLog) Errorf(format string, args ...any) {
	text := message(format, args)
	if strings.HasPrefix(text, unsyncedText) {
		l.unsynced.Store(&text)
	}
	l.log.Error("badger", "message", text)
}

// Warningf logs a warning.
func (l *dbLog) Warningf(format string, args ...any) {
	l.log.Warn("badger", "message", message(format, args))
}

// Infof logs what Badger calls information and we call details.
func (l *dbLog) Infof(format string, args ...any) { l.debug(format, args) }

// Debugf logs details.
func (l *dbLog) Debugf(format string, args ...any) { l.debug(format, args) }

func (l *dbLog) debug(format string, args []any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("badger", "message", message(format, args))
	}
}

func message(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
