package meter

import "github.com/annex-gateway/annex/plugins/wasm/format"

// The subsections of the name section that are kept.
const (
	nameOfModule = iota
	namesOfFunctions
	namesOfLocals
)

// renumberNames gives the name section with the new numbers of functions, nil
// where there is none that can be read.
func (m *module) renumberNames() []byte {
	r := &format.Reader{B: m.names}
	var out []byte
	for r.Err == nil && r.Left() > 0 {
		id := r.Byte()
		s := r.Sub(r.Count("bytes of names"))
		switch id {
		case nameOfModule:
			out = appendSized(append(out, id), s.B)
		case namesOfFunctions, namesOfLocals:
			out = appendSized(append(out, id), m.nameMap(s, id == namesOfLocals))
			r.Err = s.Err
		}
	}
	if r.Err != nil {
		return nil
	}
	return out
}

func (m *module) nameMap(s *format.Reader, locals bool) []byte {
	n := s.Count("names")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.Err == nil; n-- {
		out = appendU32(out, m.shifted(m.function(s)))
		if !locals {
			out = appendName(out, s.Name())
			continue
		}
		of := s.Count("names")
		out = appendU32(out, uint32(of))
		for ; of > 0 && s.Err == nil; of-- {
			out = appendU32(out, s.U32())
			out = appendName(out, s.Name())
		}
	}
	s.End("names")
	return out
}
