package wasm

import (
	"context"
	"sync/atomic"
	"time"
)

// minTick is the shortest period of ticks.
const minTick = 10 * time.Millisecond

// ticker calls a guest again and again. Between the end of one tick and the
// next there is a whole period: ticks that take long do not pile up.
type ticker struct {
	vm     *proxyVM
	period atomic.Int64
	timer  *time.Timer // belongs to whoever has the guest's turn
	over   bool        // as well
}

func newTicker(v *proxyVM) *ticker { return &ticker{vm: v} }

// running reports whether there are ticks.
func (t *ticker) running() bool { return t.period.Load() > 0 && t.vm.has("proxy_on_tick") }

// every sets the period; 0 ends the ticks.
func (t *ticker) every(d time.Duration) {
	if d > 0 {
		d = max(d, minTick)
	}
	if t.over || time.Duration(t.period.Swap(int64(d))) == d {
		return
	}
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if t.running() {
		t.timer = time.AfterFunc(d, t.tick)
	}
}

func (t *ticker) stop() {
	t.every(0)
	t.over = true
}

func (t *ticker) tick() {
	v := t.vm
	err := v.enter(context.Background(), nil, func(ctx context.Context) error {
		if !t.running() {
			return nil
		}
		_, err := v.invoke(ctx, "proxy_on_tick", 0, rootID)
		if t.timer != nil {
			t.timer.Reset(time.Duration(t.period.Load()))
		}
		return err
	})
	v.fleet.note(err)
}
