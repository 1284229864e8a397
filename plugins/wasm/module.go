package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/plugins/wasm/inspect"
	"github.com/annex-gateway/annex/plugins/wasm/meter"
)

const digestPrefix = "sha256:"

func validDigest(s string) bool {
	h, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(h) != 2*sha256.Size || strings.ToLower(h) != h {
		return false
	}
	_, err := hex.DecodeString(h)
	return err == nil
}

// modules compiles each module once, whoever asks for it, and forgets it
// when the last one lets go.
type modules struct {
	runtime *hostRuntime
	source  core.ModuleSource // nil when the gateway keeps none
	opts    Options
	compile chan struct{} // one at a time: a slow compile takes one processor, not all

	mu      sync.Mutex
	entries map[string]*module
	wg      sync.WaitGroup // compiles that go on
}

// module is a compiled module.
type module struct {
	digest string
	refs   int           // guarded by modules.mu
	ready  chan struct{} // closed once the rest is set
	err    error
	info   *inspect.Module
	code   wazero.CompiledModule
	border border
	linked *linked // the host module that it alone imports from; nil for none
}

func newModules(ctx context.Context, source core.ModuleSource, opts Options) (*modules, error) {
	r, err := newHostRuntime(ctx, opts, proxyWASM{}, annexBorder{}, httpWASM{})
	if err != nil {
		return nil, err
	}
	return &modules{
		runtime: r, source: source, opts: opts,
		compile: make(chan struct{}, 1), entries: map[string]*module{},
	}, nil
}

// acquire gives the compiled module, which must be released. Compiling goes
// on when ctx ends, for the next one who asks; it is bounded by itself.
func (s *modules) acquire(ctx context.Context, digest string) (*module, error) {
	s.mu.Lock()
	m := s.entries[digest]
	if m == nil {
		m = &module{digest: digest, ready: make(chan struct{})}
		s.entries[digest] = m
		m.refs++ // the load's own
		s.wg.Add(1)
		go s.load(context.WithoutCancel(ctx), m)
	}
	m.refs++
	s.mu.Unlock()
	select {
	case <-m.ready:
	case <-ctx.Done():
		s.release(ctx, m)
		return nil, core.WrapError(core.ErrorCode(ctx.Err()), ctx.Err(), "module %s is still being compiled: try again in a minute", short(digest))
	}
	if m.err != nil {
		s.release(ctx, m)
		return nil, m.err
	}
	return m, nil
}

func short(digest string) string { return digest[:len(digestPrefix)+12] }

// load fetches, inspects and compiles. The compiler cannot be interrupted:
// when it passes its time, waiters are told and the result is thrown away.
func (s *modules) load(ctx context.Context, m *module) {
	defer s.wg.Done()
	ctx, cancel := context.WithTimeout(ctx, s.opts.CompileTimeout)
	defer cancel()
	type result struct {
		code wazero.CompiledModule
		err  error
	}
	m.info, m.err = s.fetch(ctx, m.digest)
	if m.err == nil {
		m.border, m.err = s.runtime.borderOf(m.info)
	}
	if m.err != nil {
		s.finish(ctx, m)
		return
	}
	binary := m.info.Core
	m.info.Core = nil // nobody else needs it
	select {
	case s.compile <- struct{}{}:
	case <-ctx.Done():
		m.err = s.slow(m)
		s.finish(ctx, m)
		return
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-s.compile }()
		code, err := s.build(ctx, m.digest, binary)
		if ctx.Err() != nil { // also where it just came to its end: a bound is one
			if code != nil {
				_ = code.Close(ctx)
			}
			code, err = nil, s.slow(m)
		}
		done <- result{code, err}
	}()
	select {
	case r := <-done:
		m.code, m.err = r.code, r.err
		if m.err == nil {
			m.err = s.runtime.link(ctx, m)
		}
		s.finish(ctx, m)
	case <-ctx.Done():
		m.err = s.slow(m)
		s.finish(ctx, m)
		if r := <-done; r.code != nil {
			_ = r.code.Close(ctx)
		}
	}
}

// build meters a module and compiles it. Where there is a process for that it
// has the work, and what it made is read from the cache.
func (s *modules) build(ctx context.Context, digest string, binary []byte) (wazero.CompiledModule, error) {
	metered, err := meter.Rewrite(binary)
	if err != nil {
		return nil, core.WrapError(core.Invalid, err, "module %s cannot be metered: %s", short(digest), err)
	}
	if c := (compiler{s.opts}); c.used() {
		if err := c.fill(ctx, digest, metered); err != nil {
			return nil, err
		}
	}
	return s.runtime.compile(ctx, metered)
}

func (s *modules) slow(m *module) error {
	return core.Errorf(core.Invalid, "module %s was not compiled within %s: build it smaller", short(m.digest), s.opts.CompileTimeout)
}

func (s *modules) finish(ctx context.Context, m *module) {
	s.release(ctx, m)
	close(m.ready)
}

// release lets go of a module; with the last one it is closed.
func (s *modules) release(ctx context.Context, m *module) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.refs--
	if m.refs > 0 {
		return
	}
	if s.entries[m.digest] == m {
		delete(s.entries, m.digest)
	}
	if m.linked != nil {
		m.linked.close(ctx)
	}
	if m.code != nil {
		_ = m.code.Close(ctx)
	}
}

// fetch reads the module's bytes, and trusts nothing about them.
func (s *modules) fetch(ctx context.Context, digest string) (*inspect.Module, error) {
	if s.source == nil {
		return nil, core.Errorf(core.Invalid, "module %s: this gateway keeps no modules", short(digest))
	}
	r, err := s.source.OpenModule(ctx, digest)
	if err != nil {
		if core.ErrorCode(err) == core.NotFound {
			return nil, core.WrapError(core.NotFound, err, "module %s has not been uploaded", short(digest))
		}
		return nil, core.WrapError(core.Unavailable, err, "module %s cannot be read", short(digest))
	}
	b, err := io.ReadAll(io.LimitReader(r, int64(s.opts.Inspect.Bytes)+1))
	err = errors.Join(err, r.Close())
	if err != nil {
		return nil, core.WrapError(core.Unavailable, err, "module %s cannot be read", short(digest))
	}
	if len(b) > s.opts.Inspect.Bytes {
		return nil, core.Errorf(core.Invalid, "module %s is larger than %d bytes", short(digest), s.opts.Inspect.Bytes)
	}
	if sum := sha256.Sum256(b); digestPrefix+hex.EncodeToString(sum[:]) != digest {
		return nil, core.Errorf(core.Invalid, "module %s is damaged: its content has another digest; upload it again", short(digest))
	}
	info, err := inspect.Read(b, s.opts.Inspect)
	if err != nil {
		return nil, core.Errorf(core.Invalid, "module %s cannot be used: %s", short(digest), err)
	}
	return info, nil
}

// close frees the runtime. A compile that is still going on is waited for no
// longer than it may take.
func (s *modules) close() error {
	idle := make(chan struct{})
	go func() {
		s.wg.Wait()
		close(idle)
	}()
	timer := time.NewTimer(s.opts.CompileTimeout)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
	s.mu.Lock()
	open := len(s.entries)
	s.mu.Unlock()
	err := s.runtime.close(context.Background())
	if open > 0 {
		err = errors.Join(err, fmt.Errorf("wasm: %d modules were still in use when the kind was closed", open))
	}
	return err
}
