//go:build linux || darwin

package wasm

import (
	"errors"
	"syscall"
)

// reserved is address space that the Go runtime reserves and does not use.
const reserved = 1 << 30

// limitProcess bounds this process, for good, and lets others go first.
func limitProcess(memory int64, seconds int) error {
	space, time := uint64(memory+reserved), uint64(seconds)
	return errors.Join(
		syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: space, Max: space}),
		syscall.Setrlimit(syscall.RLIMIT_CPU, &syscall.Rlimit{Cur: time, Max: time + 1}),
		syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10),
	)
}
