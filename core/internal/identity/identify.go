package identity

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
)

// Cookie is the name of the cookie that holds a session's token for pages
// below /ext-ui.
const Cookie = "vcloud_jwt"

// The headers that carry a token, in the form in which they are stored.
const (
	headerAuthorization = "Authorization"
	headerAccessToken   = "X-Vmware-Vcloud-Access-Token"
	headerLegacy        = "X-Vcloud-Authorization"
)

const pages = "/ext-ui"

// Identify tells who makes the call. Below /ext-ui the cookie counts, and
// what changes something must come from the gateway's own pages, else it is
// Forbidden; everywhere else the headers count. Whatever is missing, doubled,
// contradictory or not valid now is Unauthenticated; a token of an identity
// provider whose keys cannot be had is Unavailable.
func (m *Identity) Identify(ctx context.Context, r core.Request) (core.Caller, error) {
	if r.Path == pages || strings.HasPrefix(r.Path, pages+"/") {
		return m.identifyPage(ctx, r)
	}
	token, err := headerToken(r.Header)
	if err != nil {
		return core.Caller{}, err
	}
	if token == "" {
		return core.Caller{}, refuse(noCredential)
	}
	return m.holder(ctx, token)
}

func (m *Identity) identifyPage(ctx context.Context, r core.Request) (core.Caller, error) {
	token, err := cookieToken(r.Header)
	if err != nil {
		return core.Caller{}, err
	}
	if token == "" {
		return core.Caller{}, refuse(noCookie)
	}
	if also, err := headerToken(r.Header); err != nil {
		return core.Caller{}, err
	} else if also != "" && also != token {
		return core.Caller{}, refuse(twoTokens)
	}
	c, err := m.holder(ctx, token)
	if err != nil {
		return core.Caller{}, err
	}
	if changes(r) && !ownPage(r) {
		return core.Caller{}, core.Errorf(core.Forbidden, "the request does not come from a page of this gateway: its Origin or Sec-Fetch-Site header must say same origin")
	}
	return c, nil
}

// holder tells whom a token stands for.
func (m *Identity) holder(ctx context.Context, token string) (core.Caller, error) {
	c, _, err := m.holderAnd(ctx, token)
	return c, err
}

// holderAnd tells whom a token stands for, and whether it is the holder's own
// login rather than one that was lent for a call.
func (m *Identity) holderAnd(ctx context.Context, token string) (c core.Caller, login bool, err error) {
	d, now := m.view().Directory, m.opts.Now()
	if v, ok := m.verified.get(token); ok {
		c, err = m.current(d, v, now)
		return c, v.Purpose == forSession, err
	}
	if len(token) > maxToken {
		return c, false, refuse(badToken)
	}
	if c, ok, err := m.guest(ctx, d, token); ok {
		return c, true, err
	}
	v, err := m.verify(d, token)
	if err != nil {
		return c, false, err
	}
	if c, err = m.current(d, v, now); err == nil {
		// The clone lets go of the header line that token may be a part of.
		m.verified.put(strings.Clone(token), v)
	}
	return c, v.Purpose == forSession, err
}

// headerToken gives the one token that the headers hold, or "". The vendor's Go
// SDK logs out with its token twice in the header of its own; that is one token.
func headerToken(h core.Header) (string, error) {
	token := ""
	for _, name := range [...]string{headerAuthorization, headerAccessToken, headerLegacy} {
		values := h.Peek(name)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 && (name == headerAuthorization || len(slices.Compact(slices.Clone(values))) > 1) {
			return "", refuse(twoTokens)
		}
		t := values[0]
		if name == headerAuthorization {
			t = bearer(t)
		}
		switch {
		case t == "":
			return "", refuse(badCredential)
		case token != "" && token != t:
			return "", refuse(twoTokens)
		}
		token = t
	}
	return token, nil
}

// bearer takes the token out of an Authorization header, or "".
func bearer(value string) string {
	scheme, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimLeft(token, " ")
}

// cookieToken gives the token of the one cookie, or "".
func cookieToken(h core.Header) (string, error) {
	token, found := "", false
	for _, line := range h.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
			if strings.TrimRight(name, " \t") != Cookie {
				continue
			}
			if found {
				return "", refuse(twoTokens)
			}
			token, found = value, true
		}
	}
	return token, nil
}

// changes reports whether a request may change something. The handshake of a
// WebSocket counts: browsers let any page make one.
func changes(r core.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return r.Upgrade != ""
	}
	return true
}

// ownPage reports whether the browser says that a page of the gateway itself
// made the request.
func ownPage(r core.Request) bool {
	site, origin := r.Header.Values("Sec-Fetch-Site"), r.Header.Values("Origin")
	if len(site) > 1 || len(origin) > 1 || len(site)+len(origin) == 0 {
		return false
	}
	if len(site) == 1 && site[0] != "same-origin" {
		return false
	}
	if len(origin) == 0 {
		return true
	}
	// A page that hides its address has the origin null everywhere.
	return sameOrigin(origin[0], r) || origin[0] == "null" && len(site) == 1
}

func sameOrigin(origin string, r core.Request) bool {
	scheme, host, ok := strings.Cut(origin, "://")
	return ok && strings.EqualFold(scheme, r.Scheme) && strings.EqualFold(withPort(scheme, host), withPort(scheme, r.Host))
}

// withPort leaves out the port that the scheme implies.
func withPort(scheme, host string) string {
	if strings.EqualFold(scheme, "https") {
		return strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":80")
}
