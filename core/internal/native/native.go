// Package native is the API that is being extended, as a connection. A small
// one is built in: who am I, which organisations are there, what is this
// cloud. It answers from the view and never waits.
//
// With an upstream every path that is not built in goes there. Then only
// /api/session is built in, by which clients learn who they are to this
// gateway, and the entity resolver for URNs that are registered here, so that
// an API of any shape keeps all its other paths; the whole built-in API stays
// in front of the upstream when that is asked for.
package native

import (
	"cmp"
	"context"
	"hash/fnv"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// Options are what the native API can be told. View is needed.
type Options struct {
	// View gives the newest picture of who there is.
	View func() *live.View
	// Version is the release that clients are told of: at least three numbers
	// with dots between them. Clients take it for what the API can do.
	Version string
	// Built is the date that goes with it.
	Built time.Time
	// Upstream is the API that is extended in place of the built-in one; nil:
	// none. It is closed with the Native.
	Upstream core.Conn
	// BuiltIn keeps all of the built-in API in front of an upstream.
	BuiltIn bool
}

// The default release: the first that speaks the highest listed version.
const (
	defaultVersion = "10.6.0.1"
	defaultBuilt   = 1767225600 // 1 January 2026
)

// Native is the extended API as a core.Conn.
type Native struct {
	view        func() *live.View
	description string
	upstream    core.Conn // nil: none
	builtIn     bool      // all of it, not the session alone
	closed      atomic.Bool
}

var (
	_ core.Conn     = (*Native)(nil)
	_ core.Streamer = (*Native)(nil)
	_ core.Prober   = (*Native)(nil)
)

// New makes a Native.
func New(opts Options) *Native {
	if opts.Version == "" {
		opts.Version = defaultVersion
	}
	if opts.Built.IsZero() {
		opts.Built = time.Unix(defaultBuilt, 0)
	}
	return &Native{
		view:        opts.View,
		description: opts.Version + " " + opts.Built.UTC().Format("Mon Jan 02 15:04:05 MST 2006"),
		upstream:    opts.Upstream,
		builtIn:     opts.BuiltIn || opts.Upstream == nil,
	}
}

// Close makes all later calls fail, and closes the upstream.
func (n *Native) Close() error {
	n.closed.Store(true)
	if n.upstream != nil {
		return n.upstream.Close()
	}
	return nil
}

// Streams reports whether there is an upstream that bounds its own waits. What
// is built in never waits.
func (n *Native) Streams() bool {
	s, ok := n.upstream.(core.Streamer)
	return ok && s.Streams()
}

// Ready returns nil, or what is wrong with the upstream.
func (n *Native) Ready() error {
	if p, ok := n.upstream.(core.Prober); ok {
		return p.Ready()
	}
	return nil
}

// Do answers a message. A path that is not here is the upstream's, or
// NotFound.
func (n *Native) Do(ctx context.Context, m core.Message) (core.Message, error) {
	if err := ctx.Err(); err != nil {
		return m, err
	}
	if n.closed.Load() {
		return m, core.Errorf(core.Unavailable, "the gateway is stopping; try again in a moment")
	}
	v := n.view()
	q := reader{
		caller: m.Caller, request: m.Request, view: v, base: m.Request.BaseURL(), description: n.description, builtIn: n.builtIn,
	}
	page, ok := q.find(m.Request.Path)
	switch {
	case ok && (n.builtIn || page.session):
		return q.answer(ctx, m, page)
	case n.upstream == nil:
		return m, core.Errorf(core.NotFound, "nothing is served at %s", m.Request.Path)
	case ok && page.first:
		out, err := q.answer(ctx, m, page)
		if !unknown(err) {
			return out, err
		}
	}
	return n.sendOn(ctx, v, m)
}

// unknown tells errors of a page that an upstream may know more of.
func unknown(err error) bool {
	if err == nil {
		return false
	}
	code := core.ErrorCode(err)
	return code == core.NotFound || code == core.NotAllowed || code == core.Unauthenticated
}

// sendOn asks the upstream.
func (n *Native) sendOn(ctx context.Context, v *live.View, m core.Message) (core.Message, error) {
	sent := m
	sent.Request = asked(v, m.Request)
	out, err := n.upstream.Do(ctx, sent)
	out.Request = m.Request
	if err != nil || !out.Answered() || m.Request.Method == http.MethodHead {
		return out, err
	}
	return linked(ctx, v, out), nil
}

// answer makes a page.
func (q reader) answer(ctx context.Context, m core.Message, p page) (core.Message, error) {
	switch method := m.Request.Method; {
	case method != http.MethodGet && method != http.MethodHead:
		return m, vxml.NotAllowed(method, m.Request.Path, p.verbs()...)
	case !m.Caller.Known():
		return m, core.Errorf(core.Unauthenticated, "%s is for users that are logged in: send an Authorization header", m.Request.Path)
	}
	sheet, err := p.make()
	if err != nil {
		return m, err
	}
	get := m.Request
	get.Method = http.MethodGet // HEAD has the same header
	out := linked(ctx, q.view, m.Answer(vxml.Respond(get, sheet.media, sheet.root)))
	if out.Response.Header, err = tagged(*out.Response); err != nil {
		return m, err
	}
	if m.Request.Method == http.MethodHead {
		out.Response.Body = nil
	}
	return out, nil
}

// tagged gives the header with an entity tag: what the body says, by whatever
// it was made of.
func tagged(r core.Response) (core.Header, error) {
	body, err := r.Body.Bytes(r.Body.Size())
	if err != nil {
		return r.Header, err
	}
	sum := fnv.New64a()
	_, _ = sum.Write(body)
	return r.Header.With("Etag", `"`+strconv.FormatUint(sum.Sum64(), 16)+`"`), nil
}

// reader is who makes a call, and what there is to read.
type reader struct {
	caller      core.Caller
	request     core.Request
	view        *live.View
	base        string
	description string
	builtIn     bool // all of the built-in API is there
}

// page is what stands at a path.
type page struct {
	make    func() (sheet, error)
	more    string // a verb that somebody else serves there
	session bool
	first   bool // looked at before an upstream, which has what is not found there
}

// sheet is what a page shows.
type sheet struct {
	media string // without suffix
	root  *vxml.Element
}

func (p page) verbs() []string {
	verbs := []string{http.MethodGet, http.MethodHead}
	if p.more != "" {
		verbs = append(verbs, p.more)
	}
	return verbs
}

func always(media string, f func() *vxml.Element) page {
	return page{make: func() (sheet, error) { return sheet{media, f()}, nil }}
}

// find gives the page of a path. Collections may end in a slash.
func (q reader) find(path string) (page, bool) {
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "/api/session":
		p := always(vxml.MediaSession, q.session)
		p.more, p.session = http.MethodDelete, true
		return p, true
	case "/api/admin":
		return always(vxml.MediaCloud, q.cloud), true
	case "/api/org":
		return always(vxml.MediaOrgList, q.orgs), true
	case "/api/query":
		return page{make: q.query}, true
	case "/api/extensibility":
		return always(vxml.MediaExtensible, q.extensibility), true
	}
	rest, ok := strings.CutPrefix(path, "/api/")
	first, id, more := strings.Cut(rest, "/")
	switch {
	case !ok:
	case first == "service", first == "apidefinitions", first == "apidefinition", first == "files", first == "file":
		return q.services(path)
	case !more:
	case first == "entity":
		return page{make: func() (sheet, error) { return q.entity(id) }, first: true}, true
	case strings.HasPrefix(rest, "admin/org/") && strings.Count(rest, "/") == 2:
		return page{make: func() (sheet, error) { return q.org(rest[len("admin/org/"):], vxml.MediaAdminOrg, q.adminView) }}, true
	case strings.Contains(id, "/"):
	case first == "org":
		return page{make: func() (sheet, error) { return q.org(id, vxml.MediaOrg, q.orgView) }}, true
	case first == "vdc":
		return page{make: func() (sheet, error) { return q.vdc(id) }}, true
	}
	return page{}, false
}

// visible returns the organisations that the caller may see, by name.
func (q reader) visible() []core.Org {
	if !q.caller.Provider() {
		if o, ok := q.view.Directory.Org(q.caller.OrgID); ok {
			return []core.Org{o}
		}
		return nil
	}
	all := q.view.Directory.Orgs()
	slices.SortFunc(all, func(a, b core.Org) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return all
}
