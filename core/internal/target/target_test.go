package target

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/annex-gateway/annex/core"
)

const host = "gw.example:8443"

func TestParse(t *testing.T) {
	tests := []struct {
		name, in string
		want     Target
	}{
		{"a plain path stays as it is", "/api/org/1", Target{"/api/org/1", "/api/org/1", ""}},
		{"the root is a path", "/", Target{"/", "/", ""}},
		{"a trailing slash stays", "/api/", Target{"/api/", "/api/", ""}},
		{"encoded unreserved characters are decoded", "/%61pi/%7e%2D%5f%30%2e1", Target{"/api/~-_0.1", "/api/~-_0.1", ""}},
		{"other escapes stay with upper-case digits", "/a%20b%c3%a9%3b", Target{"/a bé;", "/a%20b%C3%A9%3B", ""}},
		{"reserved characters stay as they were sent", "/a:b@c!$&'()*+,=d", Target{"/a:b@c!$&'()*+,=d", "/a:b@c!$&'()*+,=d", ""}},
		{"path parameters are kept literally", "/api/admin;a=b/x", Target{"/api/admin;a=b/x", "/api/admin;a=b/x", ""}},
		{"parameters of an empty last segment are kept", "/api/;x", Target{"/api/;x", "/api/;x", ""}},
		{"an encoded question mark belongs to the path", "/a%3fb?c", Target{"/a?b", "/a%3Fb", "c"}},
		{"an encoded percent sign that starts no escape is kept", "/100%25", Target{"/100%", "/100%25", ""}},
		{"an encoded percent sign before one hex digit is kept", "/%25a-", Target{"/%a-", "/%25a-", ""}},
		{"the query is kept byte for byte", "/a?a=1;b=2&c=%zz&%2F%00?/../x", Target{"/a", "/a", "a=1;b=2&c=%zz&%2F%00?/../x"}},
		{"dots inside a segment are fine", "/..a/b../.c/...", Target{"/..a/b../.c/...", "/..a/b../.c/...", ""}},
		{"the absolute form gives its path", "https://gw.example:8443/a?b", Target{"/a", "/a", "b"}},
		{"scheme and host compare without case", "HTTP://GW.example:8443/a", Target{"/a", "/a", ""}},
		{"an absolute form without a path means the root", "http://gw.example:8443?q", Target{"/", "/", "q"}},
		{"the longest path is accepted", "/" + strings.Repeat("a", MaxPath-1), Target{"/" + strings.Repeat("a", MaxPath-1), "/" + strings.Repeat("a", MaxPath-1), ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in, host)
			if err != nil || got != tt.want {
				t.Fatalf("Parse(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
			}
			again, err := Parse(got.RawPath+"?"+got.RawQuery, host)
			if err != nil || again != got {
				t.Errorf("parsed again: %+v, %v; want %+v", again, err, got)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		code core.Code
		in   []string
	}{
		{"encoded separators", core.Invalid, []string{"/api/admin%2fx", "/api/admin%2Fx", "/api/admin%5cx", "/a%5Cb"}},
		{"NUL and control bytes, plain or encoded", core.Invalid, []string{"/a%00b", "/a%0d%0ab", "/a%0ab", "/a%7f", "/a%1f", "/a\x00", "/a\tb", "/a\x7f", "/a b"}},
		{"line ends that a dot of a pattern does not match", core.Invalid, []string{"/a%c2%85", "/a%e2%80%a8b", "/a%E2%80%A9"}},
		{"raw bytes that have no place in a target", core.Invalid, []string{`/a\b`, "/a#b", "/a#", "/é", "/a\xff"}},
		{"double encoding", core.Invalid, []string{"/%2561", "/a%252f", "/%25%36%31", "/%256%31", "/a%25%32f"}},
		{"what is not UTF-8 when decoded", core.Invalid, []string{"/%ff", "/%c0%af", "/%c0%ae%c0%ae/", "/%e0%80%af", "/%ed%a0%80", "/%c3", "/%f4%90%80%80"}},
		{"dot segments", core.Invalid, []string{"/.", "/..", "/api/./admin/x", "/api/x/../admin/x", "/api/%2e/admin/x", "/api/%2E%2e/x", "/a/.%2e", "/a/."}},
		{"dot segments that hide behind parameters", core.Invalid, []string{"/api/..;/admin", "/api/.;a=b/x", "/a/..%3bx/b", "/a/..;"}},
		{"empty segments", core.Invalid, []string{"//", "//host/x", "/api//admin/x", "/a//", "/api/;a=b/admin"}},
		{"incomplete escapes", core.Invalid, []string{"/%", "/a%4", "/a%zz", "/%4g", "/%%41"}},
		{"other forms", core.Invalid, []string{"", "*", "gw.example:8443", "api/x", "ftp://gw.example:8443/", "?a"}},
		{"an absolute form for another host", core.Invalid, []string{"http://other/a", "http://gw.example/a", "http://user@gw.example:8443/a", "http:///a", "http://gw.example:8443#a"}},
		{"queries with bytes that must be encoded", core.Invalid, []string{"/a?b c", "/a?b#c", "/a?\x00", "/a?\xc3\xa9", "/a?\x7f", "/a?b\r\n"}},
		{"what is too long", core.TooLong, []string{"/" + strings.Repeat("a", MaxPath), "/a?" + strings.Repeat("q", MaxQuery+1)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, in := range tt.in {
				got, err := Parse(in, host)
				if err == nil {
					t.Errorf("Parse(%q) = %+v; want an error", in, got)
				} else if core.ErrorCode(err) != tt.code {
					t.Errorf("Parse(%q): %v has code %q; want %q", in, err, core.ErrorCode(err), tt.code)
				}
			}
		})
	}
}

func TestAbsoluteFormNeedsAHost(t *testing.T) {
	if _, err := Parse("http:///a", ""); err == nil {
		t.Error("an absolute form without a host was accepted")
	}
}

func TestParseOfAPlainPathAllocatesNothing(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		if _, err := Parse("/api/org/1234/currentTime?a=b", host); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestCheckMethod(t *testing.T) {
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"} {
		if err := CheckMethod(m); err != nil {
			t.Errorf("%s: %v", m, err)
		}
	}
	for _, m := range []string{"CONNECT", "TRACE", "trace"} {
		if core.ErrorCode(CheckMethod(m)) != core.NotAllowed {
			t.Errorf("%s is not refused with NotAllowed", m)
		}
	}
}

func TestRawTail(t *testing.T) {
	got, err := Parse("/a%20b/%c3%a9c", host)
	if err != nil {
		t.Fatal(err)
	}
	for offset, want := range map[int]string{
		0: "/a%20b/%C3%A9c", 2: "%20b/%C3%A9c", 3: "b/%C3%A9c", 5: "%C3%A9c", 7: "c", 8: "", 99: "",
	} {
		if tail := got.RawPath[RawTail(got.RawPath, offset):]; tail != want {
			t.Errorf("offset %d: %q; want %q", offset, tail, want)
		}
	}
}

// checkCanonical fails unless what Parse made of in is canonical.
func checkCanonical(t *testing.T, in string, got Target) {
	t.Helper()
	if !strings.HasPrefix(got.Path, "/") || !utf8.ValidString(got.Path) {
		t.Fatalf("%q: path %q", in, got.Path)
	}
	segments := strings.Split(got.Path, "/")
	for i, s := range segments {
		if s == "." || s == ".." || s == "" && i > 0 && i < len(segments)-1 {
			t.Fatalf("%q: path %q has segment %q", in, got.Path, s)
		}
	}
	for i := range len(got.Path) {
		if c := got.Path[i]; c < ' ' || c == 0x7f || c == '\\' {
			t.Fatalf("%q: path %q holds 0x%02x", in, got.Path, c)
		}
	}
	target := got.RawPath
	if got.RawQuery != "" {
		target += "?" + got.RawQuery
	}
	again, err := Parse(target, host)
	if err != nil || again != got {
		t.Fatalf("%q: %+v; parsed again %+v, %v", in, got, again, err)
	}
	if n := RawTail(got.RawPath, len(got.Path)); n != len(got.RawPath) {
		t.Fatalf("%q: the raw path ends at %d by count, not at %d", in, n, len(got.RawPath))
	}
}

// spellings are the ways in which an attacker may write one byte.
func spellings(c byte) []string {
	return []string{
		string(c), fmt.Sprintf("%%%02x", c), fmt.Sprintf("%%%02X", c), fmt.Sprintf("%%25%02x", c),
		fmt.Sprintf("%%%%%02x", c), fmt.Sprintf("%%c0%%%02x", c|0x80), string(c) + "%00",
		"./" + string(c), string(c) + "/", "/" + string(c), string(c) + ";", "%2e%2e/" + string(c), string(c) + "%2f",
	}
}

// TestNothingSlipsPastTheCanonicalForm writes each byte and each pair of bytes
// of protected paths in every way (a third of the pairs unless ANNEX_LONG is
// set, and with it a million paths), and demands that whatever is accepted is
// either the protected path itself or has another canonical form that is
// stable. A prefix rule over Path then decides the same for all spellings.
func TestNothingSlipsPastTheCanonicalForm(t *testing.T) {
	long := os.Getenv("ANNEX_LONG") != ""
	protected := []string{"/api/admin/x", "/api/backup/12%41ab", "/ext-ui/tenant/acme/a.b/~c", "/api/admin/extension/service", "/cloudapi/1.0.0/users/a-b_c"}
	rng := rand.New(rand.NewPCG(1, 2))
	n, accepted := 0, 0
	try := func(in string) {
		n++
		got, err := Parse(in, host)
		if err != nil {
			return
		}
		accepted++
		checkCanonical(t, in, got)
	}
	for _, path := range protected {
		for i := range len(path) {
			for _, a := range spellings(path[i]) {
				try(path[:i] + a + path[i+1:])
			}
		}
	}
	for _, path := range protected {
		for i := range len(path) {
			for j := i + 1; j < len(path); j++ {
				for _, a := range spellings(path[i]) {
					for _, b := range spellings(path[j]) {
						if long || rng.IntN(3) == 0 {
							try(path[:i] + a + path[i+1:j] + b + path[j+1:])
						}
					}
				}
			}
		}
	}
	for long && n < 1_000_000 {
		in := []byte(protected[rng.IntN(len(protected))])
		var b strings.Builder
		for _, c := range in {
			if s := spellings(c); rng.IntN(8) == 0 {
				b.WriteString(s[rng.IntN(len(s))])
			} else {
				b.WriteByte(c)
			}
		}
		try(b.String())
	}
	if accepted == 0 || accepted == n {
		t.Errorf("%d of %d accepted", accepted, n)
	}
	t.Logf("%d paths, %d accepted", n, accepted)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"/", "/a%20b?c", "/%61", "//", "/..;/", "http://" + host + "/a", "/%25%36%31", "/a%e2%80%a8"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if got, err := Parse(in, host); err == nil {
			checkCanonical(t, in, got)
		} else if c := core.ErrorCode(err); c != core.Invalid && c != core.TooLong {
			t.Fatalf("%q: code %q", in, c)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, in := range map[string]string{"plain": "/api/org/1234/currentTime?a=b", "escaped": "/api/org/a%20b/%63urrentTime"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(in, host); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
