package telemetry

import (
	"reflect"
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
)

// Statser is offered by anything that counts for itself. Kinds offer a method
// Stats as well, which gives a struct of their own, or one for each system by
// its name; [StatsOf] makes a Statser of it.
type Statser interface {
	// Statistics returns a struct, or a map of them by the name of a system.
	// Fields of type int and bool are how something stands now; those of type
	// uint64 only ever grow.
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
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 || !isStats(m.Type().Out(0)) {
		return nil, false
	}
	return statsMethod{m}, true
}

func isStats(t reflect.Type) bool {
	if t.Kind() == reflect.Map && t.Key().Kind() == reflect.String {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
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

// Collect reads the fields, of one system after another where there are
// several.
func (k kindStats) Collect(out chan<- prometheus.Metric) {
	v := reflect.ValueOf(k.from.Statistics())
	if v.Kind() != reflect.Map {
		k.fields(out, v, nil)
		return
	}
	for each := v.MapRange(); each.Next(); {
		k.fields(out, each.Value(), prometheus.Labels{"system": clean(each.Key().String(), maxName)})
	}
}

func (k kindStats) fields(out chan<- prometheus.Metric, v reflect.Value, labels prometheus.Labels) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name := "annex_" + snake(k.name) + "_" + snake(field.Name)
		help := "Field " + field.Name + " of what the kind " + k.name + " counts."
		switch n := v.Field(i); n.Kind() {
		case reflect.Bool:
			one := map[bool]float64{true: 1}[n.Bool()]
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, labels), prometheus.GaugeValue, one)
		case reflect.Int, reflect.Int64:
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, labels), prometheus.GaugeValue, float64(n.Int()))
		case reflect.Uint64:
			out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name+"_total", help, nil, labels), prometheus.CounterValue, float64(n.Uint()))
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
