package wire

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep a document may nest.
const maxDepth = 64

var errShort = errors.New("the JSON ends too early")

// scanner reads one JSON document from front to back without building a tree.
// What is skipped is checked for its structure only.
type scanner struct {
	b     []byte
	i     int
	depth int
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%s at byte %d of the JSON", what, s.i)
}

// next skips white space and gives the byte there without taking it; 0 at the
// end.
func (s *scanner) next() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) take(c byte) error {
	if s.next() != c {
		if s.i >= len(s.b) {
			return errShort
		}
		return s.fail(fmt.Sprintf("%q instead of %q", s.b[s.i], c))
	}
	s.i++
	return nil
}

// end checks that nothing follows.
func (s *scanner) end() error {
	if s.next() != 0 || s.i < len(s.b) {
		return s.fail("something follows")
	}
	return nil
}

// object calls f for every member; f must take the value. The key is only
// valid until f returns.
func (s *scanner) object(f func(key []byte) error) error {
	return s.list('{', '}', func() error {
		raw, escaped, err := s.raw()
		if err != nil {
			return err
		}
		if escaped {
			text, err := unescape(raw)
			if err != nil {
				return err
			}
			raw = []byte(text)
		}
		if err := s.take(':'); err != nil {
			return err
		}
		return f(raw)
	})
}

// list calls f at the start of every element between the brackets.
func (s *scanner) list(left, right byte, f func() error) error {
	if err := s.take(left); err != nil {
		return err
	}
	s.depth++
	if s.depth > maxDepth {
		return s.fail("nested too deep")
	}
	defer func() { s.depth-- }()
	if s.next() == right {
		s.i++
		return nil
	}
	for {
		if err := f(); err != nil {
			return err
		}
		if s.next() == right {
			s.i++
			return nil
		}
		if err := s.take(','); err != nil {
			return err
		}
	}
}

// raw takes a string and gives what stands between the quotes.
func (s *scanner) raw() (text []byte, escaped bool, err error) {
	if err := s.take('"'); err != nil {
		return nil, false, err
	}
	start := s.i
	for {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			return nil, false, errShort
		}
		part := s.b[s.i : s.i+n]
		s.i += n + 1
		if bytes.IndexByte(part, '\\') >= 0 {
			escaped = true
		}
		if !oddBackslashes(s.b[start : s.i-1]) {
			return s.b[start : s.i-1], escaped, nil
		}
	}
}

// oddBackslashes reports whether the quote after b is escaped.
func oddBackslashes(b []byte) bool {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// text takes a string, or null as "".
func (s *scanner) text() (string, error) {
	if s.null() {
		return "", nil
	}
	raw, escaped, err := s.raw()
	if err != nil {
		return "", err
	}
	for _, c := range raw {
		if c < ' ' {
			return "", s.fail("a control character in a string")
		}
	}
	if !escaped {
		return string(raw), nil
	}
	return unescape(raw)
}

func (s *scanner) word(w string) bool {
	s.next()
	if !bytes.HasPrefix(s.b[s.i:], []byte(w)) {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) null() bool { return s.word("null") }

// boolean takes true or false, or null as false.
func (s *scanner) boolean() (bool, error) {
	switch {
	case s.word("true"):
		return true, nil
	case s.word("false"), s.null():
		return false, nil
	}
	return false, s.fail("not true or false")
}

// number takes a number and gives its text.
func (s *scanner) number() (string, error) {
	s.next()
	start := s.i
	for s.i < len(s.b) && bytes.IndexByte([]byte("+-.eE0123456789"), s.b[s.i]) >= 0 {
		s.i++
	}
	n := string(s.b[start:s.i])
	if !validNumber(n) {
		s.i = start
		return "", s.fail("not a JSON value")
	}
	return n, nil
}

// integer takes a whole number, or null as 0.
func (s *scanner) integer() (int, error) {
	if s.null() {
		return 0, nil
	}
	n, err := s.number()
	if err != nil {
		return 0, err
	}
	i, err := strconv.ParseInt(n, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.20s is not a whole number of 32 bits", n)
	}
	return int(i), nil
}

func validNumber(n string) bool {
	whole, rest := digits(strings.TrimPrefix(n, "-"))
	if whole == "" || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if after, ok := strings.CutPrefix(rest, "."); ok {
		var fraction string
		if fraction, rest = digits(after); fraction == "" {
			return false
		}
	}
	if rest == "" {
		return true
	}
	if rest[0]|0x20 != 'e' {
		return false
	}
	rest = rest[1:]
	if rest != "" && (rest[0] == '+' || rest[0] == '-') {
		rest = rest[1:]
	}
	exponent, rest := digits(rest)
	return exponent != "" && rest == ""
}

// digits parts the leading digits from the rest.
func digits(s string) (leading, rest string) {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return s[:i], s[i:]
}

// skip takes any value.
func (s *scanner) skip() error {
	switch s.next() {
	case '"':
		_, _, err := s.raw()
		return err
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.list('[', ']', s.skip)
	case 't', 'f', 'n':
		_, err := s.boolean()
		return err
	case 0:
		return errShort
	}
	_, err := s.number()
	return err
}

// bytes takes a byte string: base64, an array of numbers as a mapper for
// byte arrays may write it (signed or not), or null.
func (s *scanner) bytes() ([]byte, error) {
	if s.null() {
		return nil, nil
	}
	if s.next() != '[' {
		raw, escaped, err := s.raw()
		if err != nil {
			return nil, err
		}
		return decodeBase64(raw, escaped)
	}
	var b []byte
	err := s.list('[', ']', func() error {
		n, err := s.integer()
		if err != nil {
			return err
		}
		if n < -128 || n > 255 {
			return fmt.Errorf("%d is not a byte", n)
		}
		b = append(b, byte(n))
		return nil
	})
	return b, err
}

func decodeBase64(raw []byte, escaped bool) ([]byte, error) {
	if escaped { // a slash may be written as \/
		text, err := unescape(raw)
		if err != nil {
			return nil, err
		}
		raw = []byte(text)
	}
	raw = bytes.TrimRight(raw, "\r\n")
	enc := base64.StdEncoding
	if n := len(raw); n%4 != 0 && raw[n-1] != '=' {
		enc = base64.RawStdEncoding
	}
	out, err := enc.AppendDecode(nil, raw)
	if err != nil {
		return nil, errors.New("a byte string is not base64")
	}
	return out, nil
}

func unescape(raw []byte) (string, error) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' {
			out = append(out, c)
			continue
		}
		i++
		if i == len(raw) {
			return "", errors.New("a string ends in an escape")
		}
		if raw[i] == 'u' {
			r, n := unescapeRune(raw[i+1:])
			if n == 0 {
				return "", errors.New(`\u without four hexadecimal digits`)
			}
			out = utf8.AppendRune(out, r)
			i += n
			continue
		}
		at := bytes.IndexByte([]byte(`"\/bfnrt`), raw[i])
		if at < 0 {
			return "", errors.New("an unknown escape in a string")
		}
		out = append(out, "\"\\/\b\f\n\r\t"[at])
	}
	return string(out), nil
}

// unescapeRune reads what follows \u, a surrogate pair included, and tells
// how many bytes that were; 0 if it is none.
func unescapeRune(b []byte) (rune, int) {
	first, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 4
	}
	if len(b) >= 10 && b[4] == '\\' && b[5] == 'u' {
		if second, ok := hex4(b[6:]); ok {
			if r := utf16.DecodeRune(first, second); r != utf8.RuneError {
				return r, 10
			}
		}
	}
	return utf8.RuneError, 4
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(n), err == nil
}
