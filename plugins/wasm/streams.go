package wasm

import (
	"bytes"
	"context"
	"crypto/rand"
	"log/slog"
)

// What a guest hands to the host's streams can be long, and can be handed
// over many times within one host call. So they look at the guest's time.

// streamPart is how much is done between two looks.
const streamPart = 64 << 10

// output turns what a guest writes to its standard streams into log lines.
type output struct {
	guest *guest
	line  bytes.Buffer
	of    string // the call that it was begun in
}

// Write takes what the guest wrote. It fails only when the guest is to end:
// guests do not care for the log's troubles. Of what is written at once only
// the first part is logged.
func (o *output) Write(b []byte) (int, error) {
	if err := o.guest.ended(); err != nil {
		return 0, err
	}
	n := len(b)
	b = b[:min(n, streamPart)]
	for len(b) > 0 {
		if o.line.Len() == 0 {
			o.of = o.guest.session.callID()
		}
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		o.line.Write(line[:min(len(line), maxLogLine-min(o.line.Len(), maxLogLine))])
		if whole {
			o.flush(context.Background())
		}
		b = rest
	}
	return n, nil
}

func (o *output) flush(ctx context.Context) {
	if o.line.Len() > 0 {
		o.guest.say(ctx, slog.LevelInfo, o.of, o.line.String())
		o.line.Reset()
	}
}

// entropy is a guest's source of random numbers.
type entropy struct{ guest *guest }

// Read fills b, as long as the guest has time.
func (e entropy) Read(b []byte) (int, error) {
	for at := 0; at < len(b); at += streamPart {
		if err := e.guest.ended(); err != nil {
			return at, err
		}
		if _, err := rand.Read(b[at:min(at+streamPart, len(b))]); err != nil {
			return at, err
		}
	}
	return len(b), nil
}
