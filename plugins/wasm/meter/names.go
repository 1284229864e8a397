package meter

// The subsections of the name section that are kept.
const (
	nameOfModule = iota
	namesOfFunctions
	namesOfLocals
)

// renumberNames gives the name section with the new numbers of functions, nil
// where there is none that can be read.
func (m *module) renumberNames() []byte {
	r := &reader{b: m.names}
	var out []byte
	for r.err == nil && r.left() > 0 {
		id := r.byte()
		s := r.sub(r.count("bytes of names"))
		switch id {
		case nameOfModule:
			out = appendSized(append(out, id), s.b)
		case namesOfFunctions, namesOfLocals:
			out = appendSized(append(out, id), m.nameMap(s, id == namesOfLocals))
			r.err = s.err
		}
	}
	if r.err != nil {
		return nil
	}
	return out
}

func (m *module) nameMap(s *reader, locals bool) []byte {
	n := s.count("names")
	out := appendU32(nil, uint32(n))
	for ; n > 0 && s.err == nil; n-- {
		out = appendU32(out, m.shifted(m.function(s)))
		if !locals {
			out = appendName(out, s.name())
			continue
		}
		of := s.count("names")
		out = appendU32(out, uint32(of))
		for ; of > 0 && s.err == nil; of-- {
			out = appendU32(out, s.u32())
			out = appendName(out, s.name())
		}
	}
	s.end("names")
	return out
}
