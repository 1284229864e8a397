//go:build linux || darwin

package wasm

import (
	"os"
	"syscall"
)

// region is address space for one memory. What is not in use yet cannot be
// touched and takes nothing.
type region struct {
	space []byte
	open  uint64 // can be touched
}

func reserve(limit uint64) (*region, error) {
	space, err := syscall.Mmap(-1, 0, int(limit), syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &region{space: space}, nil
}

// grow gives the first size bytes, or nil where there are not so many.
func (r *region) grow(size uint64) []byte {
	if size > uint64(len(r.space)) {
		return nil
	}
	if size > r.open {
		if syscall.Mprotect(r.space[r.open:size], syscall.PROT_READ|syscall.PROT_WRITE) != nil {
			return nil
		}
		r.open = size
	}
	return r.space[:size:size]
}

func (r *region) free() {
	_ = syscall.Munmap(r.space)
	r.space = nil
}
