package plugintest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"github.com/annex-gateway/annex/core"
)

// Host is a core.Host in memory, with the optional interfaces TokenMinter and
// ModuleSource.
type Host struct {
	mu          sync.Mutex
	credentials map[[2]string]credential
	states      map[string]*state
	modules     map[string][]byte
	minted      int
}

type credential struct {
	sys core.System
	id  string
}

// NewHost makes a host that admits nobody and keeps nothing.
func NewHost() *Host {
	return &Host{
		credentials: map[[2]string]credential{},
		states:      map[string]*state{},
		modules:     map[string][]byte{},
	}
}

// Allow lets user and secret connect as sys from now on.
func (h *Host) Allow(user, secret, credentialID string, sys core.System) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.credentials[[2]string{user, secret}] = credential{sys, credentialID}
}

// Forbid takes the credential back.
func (h *Host) Forbid(user, secret string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.credentials, [2]string{user, secret})
}

// AddModule keeps a module and returns its digest.
func (h *Host) AddModule(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	h.mu.Lock()
	defer h.mu.Unlock()
	h.modules[digest] = slices.Clone(wasm)
	return digest
}

// Admit looks up what Allow was told.
func (h *Host) Admit(ctx context.Context, user, secret string) (core.System, string, error) {
	if err := ctx.Err(); err != nil {
		return core.System{}, "", err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c, ok := h.credentials[[2]string{user, secret}]
	if !ok {
		return core.System{}, "", core.Errorf(core.Unauthenticated, "user %q: no such user, or another secret", user)
	}
	return c.sys, c.id, nil
}

// State is the memory of one system, kept as long as the Host.
func (h *Host) State(systemID string) core.State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.states[systemID]
	if s == nil {
		s = &state{entries: map[string]entry{}}
		h.states[systemID] = s
	}
	return s
}

// Log throws everything away.
func (h *Host) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// MintToken gives a token that is unlike any other and names the user.
func (h *Host) MintToken(_ context.Context, c core.Caller) (string, error) {
	if !c.Known() {
		return "", core.Errorf(core.Unauthenticated, "nobody is calling: there is no token for nobody")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.minted++
	return fmt.Sprintf("token-%d-of-%s", h.minted, c.UserName), nil
}

// OpenModule gives what AddModule was given.
func (h *Host) OpenModule(_ context.Context, digest string) (io.ReadCloser, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.modules[digest]
	if !ok {
		return nil, core.Errorf(core.NotFound, "there is no module %s: upload it first", digest)
	}
	return io.NopCloser(bytes.NewReader(m)), nil
}

type state struct {
	mu      sync.Mutex
	last    uint64
	entries map[string]entry
}

type entry struct {
	value    []byte
	revision uint64
}

// Get returns a copy.
func (s *state) Get(_ context.Context, key string) ([]byte, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key]
	return slices.Clone(e.value), e.revision, nil
}

// Put keeps a copy.
func (s *state) Put(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.entries[key].revision; have != revision {
		return 0, core.Errorf(core.Stale, "key %q is at revision %d, not %d: read it again", key, have, revision)
	}
	s.last++
	if value == nil {
		delete(s.entries, key)
		return 0, nil
	}
	s.entries[key] = entry{append([]byte{}, value...), s.last}
	return s.last, nil
}
