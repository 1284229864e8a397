package cow

import (
	"fmt"
	"testing"
)

func TestPicturesNeverChange(t *testing.T) {
	var m Map[string, int]
	b := new(Batch)
	for i := range 1000 {
		m.Set(b, fmt.Sprint(i), i)
	}
	picture := m
	b = new(Batch)
	for i := range 1000 {
		if i%2 == 0 {
			m.Delete(b, fmt.Sprint(i))
		} else {
			m.Set(b, fmt.Sprint(i), -i)
		}
	}
	m.Delete(b, "not there")
	sum := 0
	for _, v := range picture.All() {
		sum += v
	}
	if picture.Len() != 1000 || sum != 999*500 {
		t.Errorf("the picture has %d entries with sum %d", picture.Len(), sum)
	}
	if v, ok := m.Get("1"); m.Len() != 500 || !ok || v != -1 {
		t.Errorf("the map has %d entries, 1 is %d, %v", m.Len(), v, ok)
	}
	for range m.All() {
		break // an iteration may end early
	}
}

func TestTheZeroMapIsEmpty(t *testing.T) {
	var m Map[int, int]
	if _, ok := m.Get(1); ok || m.Len() != 0 {
		t.Error("not empty")
	}
	for range m.All() {
		t.Error("yields")
	}
	m.Delete(new(Batch), 1)
}

func BenchmarkSetAmong100000(b *testing.B) {
	var m Map[int, int]
	batch := new(Batch)
	for i := range 100_000 {
		m.Set(batch, i, i)
	}
	for i := 0; b.Loop(); i++ {
		m.Set(new(Batch), i%100_000, i)
	}
}
