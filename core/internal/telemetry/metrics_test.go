package telemetry

import (
	"fmt"
	"testing"
	"time"

	"github.com/annex-gateway/annex/core"
)

// visitsOf gives what is counted of visits, by system.
func visitsOf(t *testing.T, tel *Telemetry) map[string]float64 {
	t.Helper()
	families, err := tel.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "annex_visits_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "system" {
					got[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return got
}

func TestVisitsAreCountedBySystem(t *testing.T) {
	tel, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	visit := func(system string, status int) {
		tel.EndVisit(t.Context(), core.Event{Step: "dispatch", System: system, Status: status, Took: time.Millisecond})
	}
	for range 3 {
		visit("a", 200)
		visit("a", 0)
		visit("", 200)
	}
	visit("b", 200)
	if got := visitsOf(t, tel); got["a"] != 6 || got["native"] != 3 || got["b"] != 1 {
		t.Errorf("got %v", got)
	}
	tel.Keep(func(system string) bool { return system == "b" })
	if got := visitsOf(t, tel); got["a"] != 0 || got["native"] != 3 || got["b"] != 1 {
		t.Errorf("after a went: %v", got)
	}
	visit("a", 200)
	if got := visitsOf(t, tel); got["a"] != 1 {
		t.Errorf("after a came back: %v", got)
	}
	for i := range maxSystems {
		visit(fmt.Sprint("many", i), 200)
	}
	visit("many1", 200)
	if got := visitsOf(t, tel); got["other"] != 2 || got["many1"] != 2 || len(got) != maxSystems+2 {
		t.Errorf("with too many: %v, %v of %d", got["other"], got["many1"], len(got))
	}
	// A system that is too many is counted by name once there is room.
	last := fmt.Sprint("many", maxSystems-1)
	tel.Keep(func(system string) bool { return system != "many1" })
	visit(last, 200)
	if got := visitsOf(t, tel); got[last] != 1 {
		t.Errorf("with room again: %v", got[last])
	}
}

func TestAVisitIsCountedWithoutLookingItsLabelsUp(t *testing.T) {
	tel, err := New(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := core.Event{Step: "dispatch", System: "urn:vcloud:extension-api:acme:a:1.0.0", Status: 200, Took: time.Millisecond}
	if n := testing.AllocsPerRun(100, func() { tel.EndVisit(t.Context(), e) }); n > 1 {
		t.Errorf("%.0f allocations", n)
	}
}
