package wasm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/tetratelabs/wazero/api"
)

// maxArgs is the greatest number of parameters of a callback.
const maxArgs = 8

// rootID is the id of the context that belongs to no call.
const rootID = 1

// errVMGone is why a call ends when its guest ended under it, through another
// call.
var errVMGone = errors.New("the guest that carried the call has ended")

// proxyVM is one guest of the proxy-wasm border with the calls that it
// carries. Whatever runs in it, a part of a call, a tick, the answer to a
// callout, takes its turn: what stands below turn belongs to whoever has it.
type proxyVM struct {
	guest *guest
	fleet *fleet
	abi   string

	turn  chan struct{} // full while somebody has the turn
	gone  chan struct{} // closed when the guest has ended
	calls atomic.Int64  // that it carries

	pending atomic.Int64 // callouts whose answers the guest has not been told
	listens atomic.Bool  // it has registered a queue

	mod        api.Module
	mem        api.Memory
	allocator  api.Function
	allocating bool
	callbacks  map[string]callback

	dead      bool
	more      chan struct{}         // from when the plugin is asked whether it is done, until it is
	streams   map[uint32]*proxyCall // by context id
	next      uint32                // the last context id that was given
	entered   *proxyCall            // whose callback runs; nil for the root context
	active    *proxyCall            // what the functions are about: the same, until the guest says otherwise
	finished  []*proxyCall          // said proxy_done, and are to be ended when the callback is over
	lingering []*proxyCall          // are over, and have not said so yet
	config    []byte                // what is read as the VM or plugin configuration, while one is handed over
	starting  bool                  // vm_start or configure runs
	further   bool                  // it is not the first guest of its system
	inCall    *callResult           // while its callback runs
	callouts  map[uint32]*callout
	lastCall  uint32
	timer     *ticker
}

// callback is an exported function of the guest.
type callback struct {
	fn     api.Function
	params int
	answer bool
}

// started finds the callbacks.
func (v *proxyVM) started(m api.Module) {
	v.mod, v.mem = m, m.Memory()
	v.callbacks, v.allocator = map[string]callback{}, nil
	for _, name := range allocators() {
		if f := m.ExportedFunction(name); f != nil && v.allocator == nil {
			v.allocator = f
		}
	}
	for name, def := range m.ExportedFunctionDefinitions() {
		v.callbacks[name] = callback{m.ExportedFunction(name), len(def.ParamTypes()), len(def.ResultTypes()) > 0}
	}
}

// ended reports whether the guest is gone.
func (v *proxyVM) ended() bool {
	select {
	case <-v.gone:
		return true
	default:
		return false
	}
}

// has reports whether the guest wants to be called so.
func (v *proxyVM) has(name string) bool {
	_, ok := v.callbacks[name]
	return ok
}

// invoke calls the guest, if it wants to be called so; otherwise it gives
// what the border takes for granted.
func (v *proxyVM) invoke(ctx context.Context, name string, absent uint32, args ...uint32) (uint32, error) {
	cb, ok := v.callbacks[name]
	if !ok {
		return absent, nil
	}
	var stack [maxArgs]uint64
	for i, a := range args[:min(cb.params, len(args))] {
		stack[i] = uint64(a)
	}
	if err := cb.fn.CallWithStack(ctx, stack[:max(cb.params, 1)]); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if !cb.answer {
		return absent, nil
	}
	return uint32(stack[0]), nil
}

// enter runs work when it is its turn, under the whole time limit of a
// callback. The guest is not stopped when ctx ends: others live in it.
func (v *proxyVM) enter(ctx context.Context, s *proxyCall, work func(context.Context) error) error {
	select {
	case v.turn <- struct{}{}:
	case <-v.gone:
		return errVMGone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return v.onTurn(ctx, s, work)
}

// onTurn is enter for whoever has the turn already.
func (v *proxyVM) onTurn(ctx context.Context, s *proxyCall, work func(context.Context) error) error {
	defer v.pass()
	if v.dead {
		return errVMGone
	}
	v.entered, v.active = s, s
	ctx = context.WithoutCancel(ctx)
	err := v.guest.run(ctx, &budget{left: v.guest.pool.set.deadline}, func(ctx context.Context) error {
		if err := work(ctx); err != nil {
			return err
		}
		return v.endFinished(ctx)
	})
	v.entered, v.active, v.inCall, v.finished = nil, nil, nil, nil
	if err != nil {
		v.end(ctx)
	}
	return err
}

// end throws the guest away. Its turn is the caller's.
func (v *proxyVM) end(ctx context.Context) {
	if v.dead {
		return
	}
	v.dead = true
	close(v.gone)
	working := v.underWay()
	v.timer.stop()
	for _, c := range v.callouts {
		c.cancel()
	}
	v.guest.dead = true
	v.fleet.forget(v, working)
	v.guest.pool.release(ctx, v.guest)
}

// close ends the plugin and then the guest. A plugin that has something left
// to do, such as a callout, says so and gets the time until ctx ends; what
// still has the turn then is interrupted.
func (v *proxyVM) close(ctx context.Context) {
	more := make(chan struct{})
	v.leaving(ctx, false, func(ctx context.Context) error {
		v.more = more
		done, err := v.invoke(ctx, "proxy_on_done", 1, rootID)
		if done != 0 || !v.underWay() {
			v.lastWord()
		}
		return err
	})
	select {
	case <-more:
	case <-v.gone:
	case <-ctx.Done():
	}
	v.leaving(ctx, true, func(ctx context.Context) error {
		_, err := v.invoke(ctx, "proxy_on_delete", 0, rootID)
		return err
	})
}

// underWay reports whether anything could still call the plugin.
func (v *proxyVM) underWay() bool {
	return len(v.callouts) > 0 || v.timer.running() || v.listens.Load()
}

// lastWord says that the plugin has nothing left to do, once it was asked. It
// reports whether it was.
func (v *proxyVM) lastWord() bool {
	if v.more == nil {
		return false
	}
	close(v.more)
	v.more = nil
	return true
}

// leaving runs a part of the end in its turn. With the last part, or one that
// fails, the guest is over.
func (v *proxyVM) leaving(ctx context.Context, last bool, work func(context.Context) error) {
	select {
	case v.turn <- struct{}{}:
	case <-ctx.Done():
		v.guest.interrupt()
		select {
		case v.turn <- struct{}{}:
		case <-v.gone:
			return
		}
	}
	defer func() { <-v.turn }()
	if v.dead {
		return
	}
	v.active = nil
	plain := context.WithoutCancel(ctx)
	err := v.guest.run(plain, &budget{left: v.guest.pool.set.deadline}, work)
	if err != nil || last {
		v.end(plain)
	}
}

// boot starts the plugin in a fresh guest.
func (v *proxyVM) boot(ctx context.Context) error {
	set := v.guest.pool.set
	v.turn <- struct{}{}
	defer func() { <-v.turn }()
	v.starting = true
	defer func() { v.starting, v.config = false, nil }()
	err := v.guest.run(ctx, &v.guest.starting, func(ctx context.Context) error {
		if main, ok := v.callbacks["main"]; ok && main.params == 2 && v.has("_initialize") {
			if _, err := v.invoke(ctx, "main", 0, 0, 0); err != nil {
				return err
			}
		}
		if _, err := v.invoke(ctx, "proxy_on_context_create", 0, rootID, 0); err != nil {
			return err
		}
		for _, step := range []struct {
			callback string
			config   []byte
		}{{"proxy_on_vm_start", set.vmConfig}, {"proxy_on_configure", set.config}} {
			v.config = step.config
			ok, err := v.invoke(ctx, step.callback, 1, rootID, uint32(len(step.config)))
			if err != nil {
				return err
			}
			if ok == 0 {
				return &refusal{step.callback}
			}
		}
		return nil
	})
	if err != nil {
		v.end(ctx)
	}
	return err
}

// refusal is the guest's own no to being started.
type refusal struct{ callback string }

// Error names the callback.
func (r *refusal) Error() string { return "the plugin refuses to start: " + r.callback + " gives 0" }

// farewell tells the guest that a context is over.
func (v *proxyVM) farewell(ctx context.Context, id uint32) error {
	for _, name := range []string{"proxy_on_log", "proxy_on_delete"} {
		if _, err := v.invoke(ctx, name, 0, id); err != nil {
			return err
		}
	}
	return nil
}

// endFinished ends the contexts that said, in the callback that is over, that
// they are done.
func (v *proxyVM) endFinished(ctx context.Context) error {
	for len(v.finished) > 0 {
		s := v.finished[0]
		v.finished = v.finished[1:]
		v.active = s
		if err := v.farewell(ctx, s.id); err != nil {
			return err
		}
		v.drop(s)
	}
	return nil
}

// maxLingering is how many contexts of calls that are over may wait for
// proxy_done.
const maxLingering = 512

// linger keeps a context until the guest says that it is done. Where there are
// too many, the one that has waited longest is ended.
func (v *proxyVM) linger(ctx context.Context, s *proxyCall) error {
	for _, h := range s.hooks {
		if h != nil {
			h.buffer = nil
		}
	}
	v.lingering = append(v.lingering, s)
	if len(v.lingering) <= maxLingering {
		return nil
	}
	s = v.lingering[0]
	s.lingers, v.active = false, s
	if err := v.farewell(ctx, s.id); err != nil {
		return err
	}
	v.drop(s)
	return nil
}

// drop forgets a context and what it waits for.
func (v *proxyVM) drop(s *proxyCall) {
	if v.streams[s.id] != s {
		return
	}
	delete(v.streams, s.id)
	v.lingering = slices.DeleteFunc(v.lingering, func(o *proxyCall) bool { return o == s })
	v.calls.Add(-1)
	for _, c := range v.callouts {
		if c.stream == s {
			c.cancel()
		}
	}
}

// nextID gives a context id that is free.
func (v *proxyVM) nextID() uint32 {
	for {
		v.next++
		if v.next <= rootID {
			v.next = rootID + 1
		}
		if _, used := v.streams[v.next]; !used {
			return v.next
		}
	}
}
