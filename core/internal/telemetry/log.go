package telemetry

import (
	"context"
	"fmt"
	"log/slog"
)

// Harmless gives a logger that writes to l what strangers have sent as well,
// but nothing that turns the text around or moves a cursor when it is looked
// at. Line ends stay: handlers write them as escapes.
func Harmless(l *slog.Logger) *slog.Logger {
	if _, ok := l.Handler().(harmless); ok {
		return l
	}
	return slog.New(harmless{l.Handler()})
}

type harmless struct{ slog.Handler }

// Handle passes the record on with every text in it escaped.
func (h harmless) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, escape(r.Message, offScreen), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(escapeAttr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs escapes too.
func (h harmless) WithAttrs(attrs []slog.Attr) slog.Handler {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = escapeAttr(a)
	}
	return harmless{h.Handler.WithAttrs(out)}
}

// WithGroup keeps escaping.
func (h harmless) WithGroup(name string) slog.Handler { return harmless{h.Handler.WithGroup(name)} }

func escapeAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(escape(v.String(), offScreen))
	case slog.KindGroup:
		group := make([]slog.Attr, len(v.Group()))
		for i, member := range v.Group() {
			group[i] = escapeAttr(member)
		}
		v = slog.GroupValue(group...)
	case slog.KindAny:
		switch v.Any().(type) {
		case error, fmt.Stringer:
			v = slog.StringValue(escape(fmt.Sprint(v.Any()), offScreen)) // which survives what panics
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// offScreen is what does not print, but for what handlers write as escapes.
func offScreen(r rune) bool { return unprintable(r) && r != '\n' && r != '\t' }
