package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value is the place of one setting in a Config.
type value interface {
	set(texts []string) error // replaces
	plain() any               // a string, bool, int64, []string or []map[string]any
	schema() map[string]any   // its JSON Schema
}

// scalar is a value written as one text.
type scalar[T any] struct {
	at    *T
	parse func(string) (T, error)
	show  func(T) any
	shape map[string]any
}

func (s scalar[T]) set(texts []string) error {
	if len(texts) != 1 {
		return fmt.Errorf("one value is needed, %d are given", len(texts))
	}
	v, err := s.parse(texts[0])
	if err == nil {
		*s.at = v
	}
	return err
}

func (s scalar[T]) plain() any             { return s.show(*s.at) }
func (s scalar[T]) schema() map[string]any { return s.shape }

// list is a value written as several texts.
type list[T any] struct {
	at    *[]T
	parse func(string) (T, error)
	show  func(T) string
}

func (l list[T]) set(texts []string) error {
	all := make([]T, 0, len(texts))
	for _, t := range texts {
		v, err := l.parse(t)
		if err != nil {
			return err
		}
		all = append(all, v)
	}
	*l.at = all
	return nil
}

func (l list[T]) plain() any {
	texts := make([]string, 0, len(*l.at))
	for _, v := range *l.at {
		texts = append(texts, l.show(v))
	}
	return texts
}

func (list[T]) schema() map[string]any {
	return map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
}

func text(at *string, check func(string) error) value {
	return scalar[string]{
		at: at, show: func(s string) any { return s }, shape: map[string]any{"type": "string"},
		parse: func(s string) (string, error) {
			if check == nil {
				return s, nil
			}
			return s, check(s)
		},
	}
}

func choice(at *string, choices ...string) value {
	shape := map[string]any{"enum": choices}
	return scalar[string]{at: at, show: func(s string) any { return s }, shape: shape, parse: func(s string) (string, error) {
		if !slices.Contains(choices, s) {
			return s, fmt.Errorf("%q: one of %s is needed", s, strings.Join(choices, ", "))
		}
		return s, nil
	}}
}

func truth(at *bool) value {
	return scalar[bool]{at: at, show: func(b bool) any { return b }, shape: map[string]any{"type": "boolean"}, parse: func(s string) (bool, error) {
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("%q: true or false is needed", s)
	}}
}

func number(at *int, least, most int) value {
	shape := map[string]any{"type": "integer", "minimum": least, "maximum": most}
	return scalar[int]{at: at, show: func(n int) any { return int64(n) }, shape: shape, parse: func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("%q: a whole number from %d to %d is needed", s, least, most)
		}
		return n, nil
	}}
}

func fraction(at *float64) value {
	shape := map[string]any{"type": "number", "minimum": 0, "maximum": 1}
	return scalar[float64]{at: at, show: func(f float64) any { return f }, shape: shape, parse: func(s string) (float64, error) {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return 0, fmt.Errorf("%q: a number from 0 to 1 is needed", s)
		}
		return f, nil
	}}
}

func duration(at *time.Duration, least, most time.Duration) value {
	shape := map[string]any{"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$|^0$`}
	return scalar[time.Duration]{at: at, show: func(d time.Duration) any { return shortDuration(d) }, shape: shape, parse: func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		if err != nil || d < least || d > most {
			return 0, fmt.Errorf("%q: a time from %s to %s is needed, such as 90s, 15m or 24h", s, shortDuration(least), shortDuration(most))
		}
		return d, nil
	}}
}

// shortDuration writes 24h0m0s as 24h.
func shortDuration(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func size(at *int64, least, most int64) value {
	shape := map[string]any{"type": []string{"string", "integer"}, "pattern": `^[0-9]+(KiB|MiB|GiB)?$`}
	return scalar[int64]{at: at, show: func(n int64) any { return showSize(n) }, shape: shape, parse: func(s string) (int64, error) {
		n, ok := parseSize(s)
		if !ok || n < least || n > most {
			return 0, fmt.Errorf("%q: a size from %s to %s is needed, such as 512KiB, 10MiB or a number of bytes", s, showSize(least), showSize(most))
		}
		return n, nil
	}}
}

type unit struct {
	name  string
	bytes int64
}

func units() []unit { return []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} }

func parseSize(s string) (int64, bool) {
	factor := int64(1)
	for _, u := range units() {
		if digits, ok := strings.CutSuffix(s, u.name); ok {
			s, factor = strings.TrimSpace(digits), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/factor {
		return 0, false
	}
	return n * factor, true
}

func showSize(n int64) string {
	for _, u := range units() {
		if n != 0 && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

func level(at *slog.Level) value {
	names := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	shape := map[string]any{"enum": []string{"debug", "info", "warn", "error"}}
	return scalar[slog.Level]{at: at, show: func(l slog.Level) any { return strings.ToLower(l.String()) }, shape: shape, parse: func(s string) (slog.Level, error) {
		l, ok := names[s]
		if !ok {
			return l, fmt.Errorf("%q: debug, info, warn or error is needed", s)
		}
		return l, nil
	}}
}

func texts(at *[]string, check func(string) error) value {
	return list[string]{at: at, show: func(s string) string { return s }, parse: func(s string) (string, error) { return s, check(s) }}
}

func networks(at *[]netip.Prefix) value {
	return list[netip.Prefix]{at: at, show: netip.Prefix.String, parse: func(s string) (netip.Prefix, error) {
		if a, err := netip.ParseAddr(s); err == nil {
			return netip.PrefixFrom(a, a.BitLen()), nil
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || p != p.Masked() {
			return p, fmt.Errorf("%q: a network such as 10.0.0.0/8 or an address is needed", s)
		}
		return p, nil
	}}
}
