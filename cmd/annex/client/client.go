// Package client speaks the gateway's JSON API, as any other program would.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/annex-gateway/annex/core"
)

// Client calls one gateway.
type Client struct {
	Base   string // https://host:port
	Token  string // of a session; empty: none
	Tenant string // id of the organisation that calls are about; empty: the caller's
	http   *http.Client
	long   *http.Client // for uploads, which take as long as they take
}

// Timeout bounds one call that is no upload.
const Timeout = 2 * time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// New makes a client that trusts the authorities in roots, or those of the
// machine when it is nil.
func New(base string, roots *x509.CertPool) *Client {
	return newClient(base, &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots})
}

// NewInsecure makes a client that believes anybody to be the gateway.
func NewInsecure(base string) *Client {
	return newClient(base, &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}) //nolint:gosec // the operator asked for it
}

func newClient(base string, conf *tls.Config) *Client {
	transport := &http.Transport{
		TLSClientConfig: conf, Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: time.Minute,
	}
	return &Client{
		Base: strings.TrimSuffix(base, "/"),
		http: &http.Client{Transport: transport, Timeout: Timeout, CheckRedirect: stay},
		long: &http.Client{Transport: transport, CheckRedirect: stay},
	}
}

// stay follows no redirect: it would carry the credential elsewhere.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// sessions is where people log in and out.
const sessions = "/cloudapi/1.0.0/sessions"

// Login opens a session, whose token the client uses from then on.
func (c *Client) Login(ctx context.Context, user, org, password string) error {
	path := sessions
	if strings.EqualFold(org, core.SystemOrg) {
		path += "/provider"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Base+path, nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user+"@"+org, password)
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if c.Token = resp.Header.Get("X-Vmware-Vcloud-Access-Token"); c.Token == "" {
		return core.Errorf(core.BadUpstream, "%s answered the login without a token: it is no gateway of this kind", c.Base)
	}
	return nil
}

// Logout ends the session.
func (c *Client) Logout(ctx context.Context) error {
	_, err := c.Do(ctx, Call{Method: http.MethodDelete, Path: sessions + "/current"})
	return err
}

// Call is one call. In is sent as JSON, or, when it is a Raw, as it is; Out
// takes the JSON of the answer.
type Call struct {
	Method, Path string
	Query        url.Values
	IfMatch      string
	In, Out      any
}

// Raw is a body that is sent as it is.
type Raw struct {
	Reader io.Reader
	Size   int64
	Type   string
}

// Do makes the call and gives the header of the answer.
func (c *Client) Do(ctx context.Context, call Call) (http.Header, error) {
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, err
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if call.Out == nil || resp.StatusCode == http.StatusNoContent {
		return resp.Header, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(call.Out); err != nil {
		return nil, core.WrapError(core.BadUpstream, err, "%s %s: the answer is no JSON", call.Method, call.Path)
	}
	return resp.Header, nil
}

// Stream opens an answer that may go on for as long as ctx lasts. Whoever
// reads it closes it.
func (c *Client) Stream(ctx context.Context, call Call) (io.ReadCloser, error) {
	req, err := c.request(ctx, call)
	if err != nil {
		return nil, err
	}
	resp, err := c.sendBy(c.long, req)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

func (c *Client) request(ctx context.Context, call Call) (*http.Request, error) {
	raw, err := encode(call.In)
	if err != nil {
		return nil, err
	}
	target := c.Base + call.Path
	if len(call.Query) > 0 {
		target += "?" + call.Query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, call.Method, target, raw.Reader)
	if err != nil {
		return nil, err
	}
	h := req.Header
	h.Set("Accept", "application/json;version=39.0")
	if raw.Reader != nil {
		h.Set("Content-Type", raw.Type)
		req.ContentLength = raw.Size
	}
	if c.Token != "" {
		h.Set("Authorization", "Bearer "+c.Token)
	}
	if c.Tenant != "" {
		h.Set("X-VMWARE-VCLOUD-TENANT-CONTEXT", c.Tenant)
	}
	if call.IfMatch != "" {
		h.Set("If-Match", call.IfMatch)
	}
	return req, nil
}

const jsonType = "application/json"

func encode(in any) (Raw, error) {
	switch v := in.(type) {
	case nil:
		return Raw{}, nil
	case Raw:
		return v, nil
	}
	b, err := json.Marshal(in)
	return Raw{Reader: bytes.NewReader(b), Size: int64(len(b)), Type: jsonType}, err
}

// send gives the answer if it is a success, else an error with the text that
// the gateway sent.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	how := c.http
	if ct := req.Header.Get("Content-Type"); ct != "" && ct != jsonType {
		how = c.long
	}
	return c.sendBy(how, req)
}

func (c *Client) sendBy(how *http.Client, req *http.Request) (*http.Response, error) {
	resp, err := how.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var e struct {
		Message string `json:"message"`
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(b, &e) != nil || e.Message == "" {
		e.Message = fmt.Sprintf("[ %s ] the gateway answered %s", resp.Header.Get("X-Vmware-Vcloud-Request-Id"), resp.Status)
	}
	return nil, core.Errorf(codeOf(resp.StatusCode), "%s %s: %s", req.Method, req.URL.Path, e.Message)
}

func (c *Client) unreachable(err error) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return core.WrapError(core.BadUpstream, err,
			"the certificate of %s is of an authority that is not trusted here; name its file with --ca, for a local gateway DATA/tls/ca.pem", c.Base)
	case errors.Is(err, context.Canceled):
		return err
	}
	return core.WrapError(core.BadUpstream, err, "the gateway at %s cannot be reached", c.Base)
}

func codeOf(status int) core.Code {
	switch status {
	case http.StatusUnauthorized:
		return core.Unauthenticated
	case http.StatusForbidden:
		return core.Forbidden
	case http.StatusNotFound:
		return core.NotFound
	case http.StatusConflict:
		return core.Conflict
	case http.StatusPreconditionFailed:
		return core.Stale
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return core.BadUpstream
	}
	return core.Invalid
}
