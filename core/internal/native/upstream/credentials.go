package upstream

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/forward"
)

// Mode says whose credentials the upstream gets.
type Mode string

// The modes. In all but Pass the caller's own credentials stay here: the
// authorization fields and the gateway's cookie.
const (
	None     Mode = "none"     // nobody's; also the meaning of ""
	Pass     Mode = "pass"     // the caller's, as they were sent
	Identity Mode = "identity" // the gateway's signed word on who calls, in X-Annex-Identity
	Basic    Mode = "basic"    // a user name and password that never change
	Static   Mode = "header"   // a header field that never changes
)

const identityHeader = "X-Annex-Identity"

// Credentials are what a Mode needs.
type Credentials struct {
	Mode Mode
	// Sign signs who calls, for Identity. It is called once for every call.
	Sign func(ctx context.Context, c core.Caller, audience, tenant string) (string, error)
	// Audience is whom the signed word is for; default the upstream's URL as
	// it is configured, without a slash at its end.
	Audience string
	// User and Password are for Basic.
	User, Password string
	// Header and Value are for Static.
	Header, Value string
}

func (c Credentials) checked(base string) (Credentials, error) {
	switch c.Mode {
	case "":
		c.Mode = None
	case None, Pass:
	case Identity:
		if c.Sign == nil {
			return c, core.Errorf(core.Invalid, "the upstream's credentials: mode %q needs somebody who signs", c.Mode)
		}
		if c.Audience == "" {
			c.Audience = strings.TrimSuffix(base, "/")
		}
	case Basic:
		if c.User == "" || strings.Contains(c.User, ":") {
			return c, core.Errorf(core.Invalid, "the upstream's credentials: mode %q needs a user name without ':'", c.Mode)
		}
		c.Header = "Authorization"
		c.Value = "Basic " + base64.StdEncoding.EncodeToString([]byte(c.User+":"+c.Password))
	case Static:
		return c.checkedHeader()
	default:
		return c, core.Errorf(core.Invalid, "the upstream's credentials: mode %q is not known, use none, pass, identity, basic or header", c.Mode)
	}
	return c, nil
}

func (c Credentials) checkedHeader() (Credentials, error) {
	c.Header = textproto.CanonicalMIMEHeaderKey(c.Header)
	if !forward.IsToken(c.Header) || forward.Kept(c.Header) {
		return c, core.Errorf(core.Invalid, "the upstream's credentials: mode %q needs the name of a header field that may be set, such as X-Api-Key, and %q is none", c.Mode, c.Header)
	}
	if c.Value == "" || !forward.IsValue(c.Value) {
		return c, core.Errorf(core.Invalid, "the upstream's credentials: the value of header field %s is missing or holds a control character", c.Header)
	}
	return c, nil
}

// put puts the credentials of a call by caller into h.
func (c *Credentials) put(ctx context.Context, h http.Header, caller core.Caller) error {
	switch c.Mode {
	case Identity:
		if !caller.Known() {
			return nil
		}
		word, err := c.Sign(ctx, caller, c.Audience, "")
		if err != nil {
			return core.WrapError(core.ErrorCode(err), err, "the upstream API: who is calling could not be signed, so nothing was sent")
		}
		h[identityHeader] = []string{word}
	case Basic, Static:
		h[c.Header] = []string{c.Value}
	}
	return nil
}
