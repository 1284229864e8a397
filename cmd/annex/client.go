package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/annex-gateway/annex/core"
)

// client speaks the gateway's JSON API, as any other program would.
type client struct {
	base  string
	http  *http.Client
	token string
}

func newClient(base string, roots *x509.CertPool) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	transport.Proxy = nil
	return &client{base: base, http: &http.Client{Transport: transport, Timeout: time.Minute}}
}

// login opens a session of a system administrator.
func (c *client) login(ctx context.Context, user, password string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/cloudapi/1.0.0/sessions/provider", nil)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user+"@System", password)
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	c.token = resp.Header.Get("X-Vmware-Vcloud-Access-Token")
	return nil
}

// call sends in as JSON, or as it is when it is bytes, and reads the answer
// into out.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	body, contentType, err := encodeBody(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json;version=39.0")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.send(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return core.WrapError(core.BadUpstream, err, "%s %s: the answer is no JSON", method, path)
	}
	return nil
}

func encodeBody(in any) (body io.Reader, contentType string, err error) {
	switch v := in.(type) {
	case nil:
		return nil, "", nil
	case []byte:
		return bytes.NewReader(v), "application/wasm", nil
	}
	b, err := json.Marshal(in)
	return bytes.NewReader(b), "application/json", err
}

// send gives the answer if it is a success, else an error with the text that
// the gateway sent.
func (c *client) send(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req) //nolint:gosec // the operator names the gateway
	if err != nil {
		return nil, core.WrapError(core.BadUpstream, err, "the gateway at %s cannot be reached", c.base)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var e struct {
		MinorErrorCode, Message string
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(b, &e) != nil || e.Message == "" {
		e.Message = fmt.Sprintf("the gateway answered %s", resp.Status)
	}
	return nil, core.Errorf(codeOf(resp.StatusCode), "%s %s: %s", req.Method, req.URL.Path, e.Message)
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
	}
	return core.Invalid
}
