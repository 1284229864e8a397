package core

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

func stream(s string) *Body { return StreamBody(io.NopCloser(strings.NewReader(s)), -1) }

func TestBody(t *testing.T) {
	read := func(t *testing.T, b *Body) string {
		t.Helper()
		all, err := io.ReadAll(b.Open())
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
	t.Run("nil is empty", func(t *testing.T) {
		var b *Body
		got, err := b.Bytes(0)
		if len(got) != 0 || err != nil || b.Size() != 0 || read(t, b) != "" || b.Close() != nil || !b.Buffered() {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("a stream can be taken once", func(t *testing.T) {
		b := stream("hello")
		if read(t, b) != "hello" || b.Size() != -1 {
			t.Error("not the stream")
		}
		if _, err := io.ReadAll(b.Open()); !errors.Is(err, ErrBodyTaken) {
			t.Errorf("got %v", err)
		}
		if _, err := b.Bytes(10); !errors.Is(err, ErrBodyTaken) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("once buffered it can be read again and again", func(t *testing.T) {
		b := stream("hello")
		got, err := b.Bytes(5)
		if string(got) != "hello" || err != nil || b.Size() != 5 || !b.Buffered() {
			t.Fatalf("%q, %v", got, err)
		}
		for range 2 {
			if got := read(t, b); got != "hello" {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("one over the limit can still be streamed whole", func(t *testing.T) {
		b := stream("hello")
		if _, err := b.Bytes(4); ErrorCode(err) != TooLarge {
			t.Errorf("got %v", err)
		}
		if got := read(t, b); got != "hello" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a known size over the limit is refused unread", func(t *testing.T) {
		b := StreamBody(io.NopCloser(failingReader{errors.New("was read")}), 100)
		if _, err := b.Bytes(99); ErrorCode(err) != TooLarge {
			t.Errorf("got %v", err)
		}
	})
	t.Run("closing ends a reader that waits", func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		b := StreamBody(r, -1)
		begun := make(chan struct{})
		go func() {
			_, _ = w.Write([]byte("x")) // returns once Bytes reads
			close(begun)
		}()
		ended := make(chan error)
		go func() { _, err := b.Bytes(10); ended <- err }()
		<-begun
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err == nil {
			t.Error("the reader got a whole body")
		}
	})
	t.Run("many may buffer at once", func(t *testing.T) {
		b := stream(strings.Repeat("x", 100_000))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got, err := b.Bytes(100_000); len(got) != 100_000 || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
		wg.Wait()
	})
}

func TestHeaderNeverChanges(t *testing.T) {
	h := NewHeader("A", "1", "b", "2", "B", "3")
	with := h.With("A", "9")
	without := h.Without("B", "C")
	if h.Get("a") != "1" || fmt.Sprint(h.Values("b")) != "[2 3]" || h.Len() != 2 {
		t.Errorf("the first changed: %v", h.Clone())
	}
	if with.Get("A") != "9" || without.Has("B") || !without.Has("A") {
		t.Errorf("with %v, without %v", with.Clone(), without.Clone())
	}
	h.Values("B")[0] = "x"
	h.Clone()["B"][0] = "x"
	if h.Get("B") != "2" {
		t.Error("a copy is no copy")
	}
	if !h.Equal(NewHeader("B", "2", "b", "3", "A", "1")) || h.Equal(with) || h.Equal(without) {
		t.Error("equality")
	}
	var zero Header
	if zero.Get("A") != "" || zero.Len() != 0 || zero.With("A", "1").Get("A") != "1" || zero.Clone() == nil {
		t.Error("the zero header")
	}
}

func TestErrors(t *testing.T) {
	cause := errors.New("secret detail")
	err := fmt.Errorf("on the way: %w", WrapError(Conflict, cause, "the name %q is taken", "x"))
	if ErrorCode(err) != Conflict || ErrorMessage(err) != `the name "x" is taken` || !errors.Is(err, cause) || !strings.Contains(err.Error(), "secret detail") {
		t.Errorf("%v: %s, %q", err, ErrorCode(err), ErrorMessage(err))
	}
	for _, tc := range []struct {
		err  error
		want Code
	}{{cause, Internal}, {context.DeadlineExceeded, Timeout}, {fmt.Errorf("x: %w", context.Canceled), Unavailable}} {
		if ErrorCode(tc.err) != tc.want || strings.Contains(ErrorMessage(tc.err), "secret") {
			t.Errorf("%v: %s, %q", tc.err, ErrorCode(tc.err), ErrorMessage(tc.err))
		}
	}
}

func TestSystemValidate(t *testing.T) {
	valid := System{Kind: KindMQTT, Vendor: "VMWare", Name: "TestVCDTest_ExternalEndpoint", Version: "1.0.0", Priority: 100}
	for name, tc := range map[string]struct {
		change func(*System)
		ok     bool
	}{
		"the vendor's own spelling":      {func(*System) {}, true},
		"dots and hyphens":               {func(s *System) { s.Vendor, s.Name = "a.b", "c-d" }, true},
		"no vendor":                      {func(s *System) { s.Vendor = "" }, false},
		"a colon, which parts the id":    {func(s *System) { s.Name = "a:b" }, false},
		"a slash, which parts the topic": {func(s *System) { s.Name = "a/b" }, false},
		"a plus, a wildcard":             {func(s *System) { s.Name = "+" }, false},
		"a hash, a wildcard":             {func(s *System) { s.Vendor = "#" }, false},
		"a dollar, a share":              {func(s *System) { s.Vendor = "$share" }, false},
		"a space":                        {func(s *System) { s.Name = "a b" }, false},
		"a newline at the end":           {func(s *System) { s.Name = "a\n" }, false},
		"129 characters":                 {func(s *System) { s.Name = strings.Repeat("a", 129) }, false},
		"two numbers":                    {func(s *System) { s.Version = "1.0" }, false},
		"a pre-release":                  {func(s *System) { s.Version = "1.0.0-1" }, false},
		"a leading zero":                 {func(s *System) { s.Version = "01.0.0" }, false},
		"a negative priority":            {func(s *System) { s.Priority = -1 }, false},
		"no kind":                        {func(s *System) { s.Kind = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := valid
			tc.change(&s)
			s.ID = SystemID(s.Kind, s.Vendor, s.Name, s.Version)
			if err := s.Validate(); (err == nil) != tc.ok {
				t.Errorf("got %v", err)
			}
		})
	}
	s := valid
	s.ID = SystemID(KindMQTT, "x", "y", "1.0.0")
	if s.Validate() == nil {
		t.Error("a foreign id")
	}
	if a, b := (System{ID: "a"}).UUID(), (System{ID: "b"}).UUID(); a == b || !IsUUID(a) || a != (System{ID: "a"}).UUID() {
		t.Errorf("uuids %s, %s", a, b)
	}
}

func TestSettings(t *testing.T) {
	raw := EncodeSettings(WASMSettings{Module: "sha256:1", Config: []byte(`{"a":"<&>"}`)})
	if !bytes.Contains(raw, []byte(`{"a":"<&>"}`)) {
		t.Errorf("the configuration was changed: %s", raw)
	}
	got, err := DecodeSettings[WASMSettings](System{Settings: raw})
	if err != nil || string(got.Config) != `{"a":"<&>"}` {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := DecodeSettings[HTTPSSettings](System{Settings: raw}); ErrorCode(err) != Invalid {
		t.Errorf("settings of another kind: %v", err)
	}
}

func TestRights(t *testing.T) {
	r := RightsOf(Ref{"2", "Write"}, Ref{"1", "Read"}, Ref{"1", "Read"})
	if !r.Has("Read") || !r.HasID("2") || r.Has("Delete") || fmt.Sprint(r.Names()) != "[Read Write]" || r.All() {
		t.Errorf("%+v", r)
	}
	if all := AllRights(); !all.Has("anything") || !all.All() || (Rights{}).Has("") {
		t.Error("all and none")
	}
}

func TestUUIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := NewUUID()
		if !IsUUID(id) || seen[id] {
			t.Fatal(id)
		}
		seen[id] = true
	}
	for _, bad := range []string{"", "x", strings.Repeat("0", 36), "00000000-0000-0000-0000-00000000000g"} {
		if IsUUID(bad) {
			t.Error(bad)
		}
	}
}

func TestRequestTarget(t *testing.T) {
	r := Request{Scheme: "https", Host: "h:1", RawPath: "/a%20b", RawQuery: "x=1;y"}
	if r.Target() != "/a%20b?x=1;y" || r.BaseURL() != "https://h:1" || (Request{RawPath: "/"}).Target() != "/" {
		t.Error(r.Target(), r.BaseURL())
	}
	if (Message{}).Answered() || !(Message{}).Answer(Response{Status: http.StatusOK}).Answered() {
		t.Error("answered")
	}
}

func TestAddedFieldsAreNotSharedWithWhoeverAppends(t *testing.T) {
	values := make([]string, 1, 4)
	values[0] = "1"
	from := HeaderOf(http.Header{"A": values, "B": {"2"}, "C": {"3"}})
	first, second := http.Header{"B": {"0"}}, http.Header{}
	from.AddTo(first, func(name string) bool { return name == "C" })
	from.AddTo(second, func(string) bool { return false })
	first.Add("A", "x")
	second.Add("A", "y")
	for _, c := range []struct {
		got  http.Header
		want http.Header
	}{
		{first, http.Header{"A": {"1", "x"}, "B": {"0", "2"}}},
		{second, http.Header{"A": {"1", "y"}, "B": {"2"}, "C": {"3"}}},
		{from.Clone(), http.Header{"A": {"1"}, "B": {"2"}, "C": {"3"}}},
	} {
		if !maps.EqualFunc(c.got, c.want, slices.Equal) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
}

func TestCallersAreEqualInEverythingOrNotAtAll(t *testing.T) {
	of := func() Caller {
		return Caller{
			UserID: "u", UserName: "ann", OrgID: "o", OrgName: "acme", SessionID: "s", TokenID: "t",
			Roles: []Ref{{"r", "role"}}, Rights: RightsOf(Ref{"1", "a"}, Ref{"2", "b"}),
		}
	}
	if !of().Equal(of()) {
		t.Error("two that are the same differ")
	}
	for name, change := range map[string]func(*Caller){
		"the user":         func(c *Caller) { c.UserID = "x" },
		"the user's name":  func(c *Caller) { c.UserName = "x" },
		"the org":          func(c *Caller) { c.OrgID = "x" },
		"the org's name":   func(c *Caller) { c.OrgName = "x" },
		"the session":      func(c *Caller) { c.SessionID = "x" },
		"the token":        func(c *Caller) { c.TokenID = "x" },
		"a role":           func(c *Caller) { c.Roles = []Ref{{"r", "x"}} },
		"a right":          func(c *Caller) { c.Rights = RightsOf(Ref{"1", "a"}) },
		"the name of one":  func(c *Caller) { c.Rights = RightsOf(Ref{"1", "a"}, Ref{"2", "c"}) },
		"all rights there": func(c *Caller) { c.Rights = AllRights() },
	} {
		c := of()
		if change(&c); c.Equal(of()) {
			t.Errorf("%s makes no difference", name)
		}
	}
}
