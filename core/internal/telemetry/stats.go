package telemetry

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
)

// Statser is offered by anything that counts for itself. Kinds offer a method
// Stats as well, which gives a struct of their own; [StatsOf] makes a Statser
// of it.
type Statser interface {
	// Statistics returns a struct. Its fields of type int are how something
	// stands now; those of type uint64 only ever grow.
	Statistics() any
}

type statsMethod struct{ call reflect.Value }

// Statistics calls the method.
func (s statsMethod) Statistics() any { return s.call.Call(nil)[0].Interface() }

// StatsOf gives v, or its method Stats, as a Statser.
func StatsOf(v any) (Statser, bool) {
	if s, ok := v.(Statser); ok {
		return s, true
	}
	m := reflect.ValueOf(v).MethodByName("Stats")
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 || m.Type().Out(0).Kind() != reflect.Struct {
		return nil, false
	}
	return statsMethod{m}, true
}

// kindStats collects what the kinds count.
type kindStats struct {
	name string
	from Statser
}

// KindStats is a collector of what a kind counts: annex_<kind>_<field>.
func KindStats(kind string, s Statser) prometheus.Collector { return kindStats{kind, s} }

// Describe says nothing: the fields are the kind's own.
func (k kindStats) Describe(chan<- *prometheus.Desc) {}

// Collect reads the fields.
func (k kindStats) Collect(out chan<- prometheus.Metric) {
	v := reflect.ValueOf(k.from.Statistics())
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name := "annex_" + snake(k.name) + "_" + snake(field.Name)
		help := "Field " + field.Name + " of what the kind " + k.name + " counts."
		switch n := v.Field(i); n.Kind() {
		case reflect.Int, reflect.Int64:
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, float64(n.Int()))
		case reflect.Uint64:
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name+"_total", help, nil, nil), prometheus.CounterValue, float64(n.Uint()))
		}
	}
}

// snake writes a name as metrics do.
func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case unicode.IsUpper(r):
			if i > 0 {
				b.WriteByte('_')
			}
			b.WriteRune(unicode.ToLower(r))
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	return b.String()
}
