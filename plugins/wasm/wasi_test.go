package wasm

import (
	"encoding/binary"
	"testing"
)

// subscription is what a guest waits for, as WASI writes it.
func subscription(id uint64, tag byte, file uint32, timeout uint64, flags uint16) []byte {
	b := make([]byte, subscriptionSize)
	binary.LittleEndian.PutUint64(b, id)
	b[8] = tag
	binary.LittleEndian.PutUint32(b[16:], file)
	if tag == waitClock {
		binary.LittleEndian.PutUint64(b[24:], timeout)
		binary.LittleEndian.PutUint16(b[40:], flags)
	}
	return b
}

func TestWhatAGuestWaitsFor(t *testing.T) {
	type event struct {
		id    uint64
		errno uint16
		tag   byte
	}
	for _, tc := range []struct {
		name   string
		asked  [][]byte
		events []event
		wait   int64
		errno  uint32
	}{
		{"a while", [][]byte{subscription(7, waitClock, 0, 50, 0)}, []event{{7, 0, waitClock}}, 50, 0},
		{"the shorter of two", [][]byte{subscription(1, waitClock, 0, 50, 0), subscription(2, waitClock, 0, 20, 0), subscription(3, waitClock, 0, 90, 0)}, []event{{2, 0, waitClock}}, 20, 0},
		{"two of the same length", [][]byte{subscription(1, waitClock, 0, 20, 0), subscription(2, waitClock, 0, 20, 0)}, []event{{1, 0, waitClock}, {2, 0, waitClock}}, 20, 0},
		{"longer than there is time", [][]byte{subscription(1, waitClock, 0, 1<<64-1, 0)}, []event{{1, 0, waitClock}}, 1<<63 - 1, 0},
		{"standard input, which is at its end", [][]byte{subscription(1, waitClock, 0, 50, 0), subscription(2, waitRead, 0, 0, 0)}, []event{{2, 0, waitRead}}, 0, 0},
		{"standard output", [][]byte{subscription(1, waitWrite, 1, 0, 0)}, []event{{1, wasiNotSup, waitWrite}}, 0, 0},
		{"a file that is not there", [][]byte{subscription(1, waitRead, 3, 0, 0), subscription(2, waitWrite, 1<<31, 0, 0)}, []event{{1, wasiBadFile, waitRead}, {2, wasiBadFile, waitWrite}}, 0, 0},
		{"a point in time", [][]byte{subscription(1, waitClock, 0, 50, 1)}, nil, 0, wasiNotSup},
		{"something unheard of", [][]byte{subscription(1, 9, 0, 0, 0)}, nil, 0, wasiInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			events, wait, errno := pollFirst(cat(tc.asked...))
			if wait != tc.wait || errno != tc.errno || len(events) != len(tc.events)*eventSize {
				t.Fatalf("got %d bytes of events, %d and %d", len(events), wait, errno)
			}
			for i, want := range tc.events {
				e := events[i*eventSize:]
				got := event{binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint16(e[8:]), e[10]}
				if got != want {
					t.Errorf("event %d is %+v, want %+v", i, got, want)
				}
			}
		})
	}
}
