package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/sdk/wire"
)

// trail is who was visited, in order.
type trail struct {
	mu    sync.Mutex
	names []string
}

func (l *trail) add(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, name)
}

func (l *trail) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := strings.Join(l.names, " ")
	l.names = nil
	return s
}

// responder registers a service that turns answers of one type into another.
func (h *house) responder(l *trail, name string, priority int, from, to string) {
	h.Helper()
	h.listen(h.service(name, priority, answers(from)), name, func(r wire.Request) []byte {
		l.add(name)
		return reply(r, r.Message.Status, string(r.Message.Body)+">"+name, "Content-Type", to)
	})
}

// TestAnswersGoFromTypeToType is rulings 3 and 4, T22 and T23 on real sessions.
func TestAnswersGoFromTypeToType(t *testing.T) {
	h := newHouse(t, nil)
	var visits trail
	begin := func(name, contentType string, more ...string) {
		id := h.service(name, 50, append(more, filter(core.ScopeAPI, "/api/"+name))...)
		h.listen(id, name, func(r wire.Request) []byte {
			visits.add(name)
			return reply(r, 200, name, "Content-Type", contentType)
		})
	}
	begin("start", "text/a")
	begin("own", "text/own", answers("text/own"))
	begin("loop1", "text/l1")
	begin("loop2", "text/l2a")
	begin("many", "text/m0")
	begin("typed", `text/T; Charset="utf-8"; a=b`)
	begin("ties", "text/t")
	h.responder(&visits, "b", 50, "text/a", "text/b")
	h.responder(&visits, "c", 90, "text/b", "text/c")
	h.responder(&visits, "l1", 50, "text/l1", "text/l1")
	h.responder(&visits, "l2a", 50, "text/l2a", "text/l2b")
	h.responder(&visits, "l2b", 50, "text/l2b", "text/l2a")
	for i := range 10 {
		h.responder(&visits, fmt.Sprint("m", i), 50, fmt.Sprint("text/m", i), fmt.Sprint("text/m", i+1))
	}
	h.responder(&visits, "bare", 60, "TEXT/t", `text/t;a=b;charset=UTF-8`)
	h.responder(&visits, "exact", 50, "text/t; a=b; charset=utf-8", "text/done")
	h.responder(&visits, "other", 40, "text/t; a=c", "text/never")
	for _, name := range []string{"z", "x", "y"} {
		h.responder(&visits, "tie"+name, 50, "text/ties", "text/ties")
	}
	begin("tie", "text/ties")
	for path, want := range map[string]string{
		"start": "start b c",
		"own":   "own", // nobody is shown what it wrote itself
		"loop1": "loop1 l1",
		"loop2": "loop2 l2a l2b",
		"many":  "many m0 m1 m2 m3 m4 m5 m6 m7",
		"typed": "typed bare exact",
		"tie":   "tie tiex tiey tiez", // equal priorities go by id
	} {
		for range 3 {
			got := h.as(h.token, "GET", "/api/"+path, "")
			if is := visits.take(); is != want || got.body != strings.ReplaceAll(want, " ", ">") || got.status != 200 {
				t.Errorf("%s went %q, want %q; %d %s", path, is, want, got.status, got.body)
			}
		}
	}
	t.Run("but errors of the gateway itself are shown to nobody", func(t *testing.T) {
		h.responder(&visits, "json", 50, "application/json", "text/seen")
		h.responder(&visits, "xml", 50, "application/vnd.vmware.vcloud.error+xml", "text/seen")
		h.service("dead", 50, filter(core.ScopeAPI, "/api/dead"))
		for path, status := range map[string]int{"/api/dead": 503, "/api/nobody": 404, "/ext-api/nobody": 404, "/cloudapi/1.0.0/orgs": 200} {
			if got := h.as(h.token, "GET", path, "", "Accept", "application/json"); got.status != status || visits.take() != "" {
				t.Errorf("%s: %d %s", path, got.status, got.body)
			}
		}
	})
}

// TestARequestThatAServiceChangesGoesOn is ruling 1.
func TestARequestThatAServiceChangesGoesOn(t *testing.T) {
	h := newHouse(t, nil)
	var visits trail
	heard := make(chan wire.Request, 1)
	h.listen(h.service("first", 90, filter(core.ScopeAPI, "/api/chain/.*")), "first", func(r wire.Request) []byte {
		visits.add("first")
		return change(r, "PUT", strings.Replace(r.Message.RequestURI, "/api/chain/", "/api/", 1), "changed=1;2", "new body", "X-New", "1")
	})
	h.listen(h.service("second", 80, filter(core.ScopeAPI, "/api/chain/seen")), "second", func(r wire.Request) []byte {
		visits.add("second")
		heard <- r
		return reply(r, 200, "second")
	})
	h.listen(h.service("third", 70, filter(core.ScopeAPI, "/api/seen"), filter(core.ScopeAPI, "/api/chain/seen")), "third", func(r wire.Request) []byte {
		visits.add("third")
		return reply(r, 200, "third")
	})
	if got := h.as(h.token, "POST", "/api/chain/seen?old=1", "old body", "X-Old", "1"); got.body != "second" || visits.take() != "first second" {
		t.Errorf("%d %s", got.status, got.body)
	}
	m := receive(t, "the request", heard).Message
	if m.Method != "PUT" || m.RequestURI != "/api/seen" || m.Query != "changed=1;2" || string(m.Body) != "new body" || m.Header("X-New") != "1" || m.Header("X-Old") != "" {
		t.Errorf("the second saw %+v", m)
	}
	t.Run("the native API authorizes what it finally gets, as the caller", func(t *testing.T) {
		h.listen(h.service("native", 90, filter(core.ScopeAPI, "/api/native/.*")), "native", func(r wire.Request) []byte {
			return change(r, "GET", strings.Replace(r.Message.RequestURI, "/api/native/", "/api/", 1), "", "")
		})
		ann, orgID, _ := h.member("One", "ann")
		if got := h.as(ann, "POST", "/api/native/session", ""); got.status != 200 || !strings.Contains(got.body, `user="ann"`) {
			t.Errorf("%d %s", got.status, got.body)
		}
		own := strings.TrimPrefix(orgID, core.OrgPrefix)
		other := strings.TrimPrefix(core.SystemOrgID, core.OrgPrefix)
		if got := h.as(ann, "GET", "/api/native/org/"+own, ""); got.status != 200 {
			t.Errorf("her own organisation: %d %s", got.status, got.body)
		}
		if got := h.as(ann, "GET", "/api/native/org/"+other, ""); got.status != 404 {
			t.Errorf("a foreign organisation: %d %s", got.status, got.body)
		}
		// What is matched by another service now is not asked again.
		if got := h.as(ann, "GET", "/api/native/seen", ""); got.status != 404 || visits.take() != "" {
			t.Errorf("a path of another service: %d %s", got.status, got.body)
		}
		for _, path := range []string{"/api/native/admin/extension/service", "/api/native/versions"} {
			checkError(t, h.as(h.token, "GET", path, ""), 503, true) // reserved
		}
	})
}

// change is a reply that puts another request in place of the one that came.
func change(r wire.Request, method, path, query, body string, header ...string) []byte {
	m := wire.Message{IsRequest: true, Method: method, RequestURI: path, Query: query, Body: []byte(body), Headers: []wire.Field{}}
	for i := 0; i < len(header); i += 2 {
		m.Headers = append(m.Headers, wire.Field{Name: header[i], Value: header[i+1]})
	}
	return wire.AppendResponse(nil, &wire.Response{ID: r.ID, Message: m})
}

// TestEveryCallGoesToOneSession is ruling 16.
func TestEveryCallGoesToOneSession(t *testing.T) {
	h := newHouse(t, nil)
	id := h.service("twice", 50, filter(core.ScopeAPI, "/api/twice/.*"), answers("text/twice"))
	begin := h.service("begin", 50, filter(core.ScopeAPI, "/api/begin/.*"))
	var mu sync.Mutex
	served := map[string][]int{}
	for session := range 2 {
		h.listen(id, "twice", func(r wire.Request) []byte {
			mu.Lock()
			served[r.Message.RequestURI] = append(served[r.Message.RequestURI], session)
			mu.Unlock()
			return reply(r, 200, string(r.Message.Body)+"!")
		})
	}
	h.listen(begin, "begin", func(r wire.Request) []byte { return reply(r, 200, "begun", "Content-Type", "text/twice") })
	const calls = 200
	var wg sync.WaitGroup
	next := atomic.Int64{}
	for range 8 {
		wg.Go(func() {
			for n := next.Add(1); n <= calls; n = next.Add(1) {
				path := fmt.Sprintf("/api/%s/%d", []string{"twice", "begin"}[n%2], n)
				if got := h.as(h.token, "POST", path, "begun"); got.status != 200 || got.body != "begun!" {
					t.Errorf("%s: %d %s", path, got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	each := map[int]int{}
	for path, sessions := range served {
		if len(sessions) != 1 {
			t.Errorf("%s was shown to %v", path, sessions)
		}
		each[sessions[0]]++
	}
	if each[0]+each[1] != calls || each[0] < calls/4 || each[1] < calls/4 {
		t.Errorf("the sessions served %v of %d", each, calls)
	}
}

// TestADisabledSystemIsAsIfAbsent is ruling 5 and T37.
func TestADisabledSystemIsAsIfAbsent(t *testing.T) {
	o := newOrigin(t, nil)
	h := newHouse(t, nil)
	h.trust(o.Server, "origin")
	var visits trail
	id := h.service("off", 50, filter(core.ScopeAPI, "/api/off"), filter(core.ScopeAPI, "/api/session"), answers("text/off"))
	client := h.listen(id, "off", func(r wire.Request) []byte { visits.add("off"); return reply(r, 200, "off") })
	h.listen(h.service("on", 50, filter(core.ScopeAPI, "/api/on")), "on", func(r wire.Request) []byte { return reply(r, 200, "on", "Content-Type", "text/off") })
	door := h.endpoint("door", o.URL, filter(core.ScopeExtAPI, "/door/.*"))
	for path, want := range map[string]string{"/api/off": "off", "/api/session": "off", "/api/on": "off", "/ext-api/door/x": ""} {
		if got := h.as(h.token, "GET", path, ""); got.status != 200 || got.body != want {
			t.Errorf("enabled, %s: %d %s", path, got.status, got.body)
		}
	}
	visits.take()
	o.take()
	h.edit("/cloudapi/extensions/api/"+id, "enabled", "false")
	h.edit("/cloudapi/1.0.0/externalEndpoints/"+door, "enabled", false)
	absent := map[string]string{"/api/off": "/api/nobody", "/ext-api/door/x": "/ext-api/nobody/x"}
	for path, other := range absent {
		got, want := h.as(h.token, "GET", path, ""), h.as(h.token, "GET", other, "")
		plain := func(a answer, path string) string {
			body := strings.ReplaceAll(a.body, a.header.Get("X-Vmware-Vcloud-Request-Id"), "ID")
			return strings.ReplaceAll(body, path, "PATH")
		}
		if got.status != 404 || want.status != 404 || plain(got, path) != plain(want, other) || !slices.Equal(names(got), names(want)) {
			t.Errorf("%s: %d %s\nwhere nobody is: %d %s", path, got.status, got.body, want.status, want.body)
		}
	}
	if got := h.as(h.token, "GET", "/api/session", ""); got.status != 200 || !strings.Contains(got.body, "<Session ") {
		t.Errorf("the native answer: %d %s", got.status, got.body)
	}
	if got := h.as(h.token, "GET", "/api/on", ""); got.body != "on" {
		t.Errorf("the response filter: %d %s", got.status, got.body)
	}
	if v := visits.take(); v != "" || len(o.take()) != 0 {
		t.Errorf("a disabled system was visited: %s", v)
	}
	eventually(t, "the session of a disabled service to end", func() bool { return !client.IsConnectionOpen() })
	if token := client.Connect(); token.WaitTimeout(patience) && token.Error() == nil {
		t.Error("a disabled service is admitted")
	}
	t.Run("one refusal refuses the call before anybody is asked", func(t *testing.T) {
		guarded := h.service("guarded", 10, filter(core.ScopeAPI, "/api/on"))
		h.edit("/cloudapi/extensions/api/"+guarded, "authorizationEnabled", "true")
		h.listen(h.service("early", 90, filter(core.ScopeAPI, "/api/on")), "early", func(r wire.Request) []byte { visits.add("early"); return reply(r, 200, "early") })
		checkError(t, h.as(h.token, "GET", "/api/on", ""), 403, true)
		if v := visits.take(); v != "" {
			t.Errorf("%s was asked", v)
		}
	})
}

func names(a answer) []string {
	var all []string
	for name := range a.header {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
