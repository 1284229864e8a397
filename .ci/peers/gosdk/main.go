// The program gosdk drives the Go SDK for VMware Cloud Director, unmodified,
// against a running gateway, the way that SDK's own tests do.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"reflect"

	"github.com/vmware/go-vcloud-director/v3/govcd"
	"github.com/vmware/go-vcloud-director/v3/types/v56"
)

const org = "System"

// peer is what the steps share.
type peer struct {
	base     url.URL
	user     string
	password string
	client   *govcd.VCDClient
}

func main() {
	base, err := url.Parse(os.Getenv("PEER_URL"))
	if err != nil || base.Host == "" {
		fmt.Fprintln(os.Stderr, "PEER_URL is needed, such as https://127.0.0.1:8443")
		os.Exit(2)
	}
	base.Path = "/api"
	p := &peer{base: *base, user: os.Getenv("PEER_USER"), password: os.Getenv("PEER_PASSWORD")}
	failed := 0
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"a wrong password is refused", p.wrongPassword},
		{"log in at the organisation System", p.login},
		{"the session tells who it belongs to", p.session},
		{"external endpoints: create, get, list, update, delete", p.endpoints},
		{"a list longer than a page is read whole", p.manyEndpoints},
		{"API filters: create, get, list, update, delete", p.filters},
		{"API tokens: create, list, use once, delete", p.tokens},
		{"log in with an API token", p.tokenLogin},
		{"log out", p.logout},
	} {
		if err := step.run(); err != nil {
			failed++
			fmt.Printf("FAIL %s: %v\n", step.name, err)
			continue
		}
		fmt.Printf("ok   %s\n", step.name)
	}
	if failed > 0 {
		fmt.Printf("%d steps failed\n", failed)
		os.Exit(1)
	}
}

// check makes an error of what does not hold.
func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (p *peer) connect() *govcd.VCDClient { return govcd.NewVCDClient(p.base, false) }

func (p *peer) wrongPassword() error {
	err := p.connect().Authenticate(p.user, "not "+p.password, org)
	return check(err != nil, "the login was let in")
}

func (p *peer) login() error {
	p.client = p.connect()
	resp, err := p.client.GetAuthResponse(p.user, p.password, org)
	if err != nil {
		return err
	}
	return errors.Join(
		check(resp.StatusCode == http.StatusOK, "status %d", resp.StatusCode),
		check(p.client.Client.IsSysAdmin, "the SDK does not take us for a system administrator"),
		check(len(p.client.Client.VCDToken) > 32, "the token is too short for the SDK to send as a bearer token"),
	)
}

func (p *peer) session() error {
	s, err := p.client.Client.GetSessionInfo()
	if err != nil {
		return err
	}
	if _, err := p.client.GetExtendedSessionInfo(); err != nil {
		return err
	}
	return errors.Join(
		check(s.Org.Name == org, "organisation %q", s.Org.Name),
		check(s.User.Name == p.user, "user %q", s.User.Name),
		check(len(s.Roles) > 0 && len(s.RoleRefs) == len(s.Roles), "roles %v, references %v", s.Roles, s.RoleRefs),
	)
}

func endpoint(name string) types.ExternalEndpoint {
	return types.ExternalEndpoint{
		Name: name, Version: "1.0.0", Vendor: "vmware", Enabled: true,
		Description: "Description of " + name, RootUrl: "https://www.example.com",
	}
}

// drop disables an endpoint, as it must be before it goes, and deletes it.
func drop(e *govcd.ExternalEndpoint) error {
	off := *e.ExternalEndpoint
	off.Enabled = false
	if err := e.Update(off); err != nil {
		return fmt.Errorf("disable: %w", err)
	}
	return e.Delete()
}

func (p *peer) endpoints() error {
	want := endpoint("TestVCDTest_ExternalEndpoint")
	made, err := p.client.CreateExternalEndpoint(&want)
	if err != nil {
		return err
	}
	id := made.ExternalEndpoint.ID
	if err := check(id == "urn:vcloud:extensionEndpoint:vmware:"+want.Name+":1.0.0", "id %q", id); err != nil {
		return err
	}
	want.ID = id
	_, twice := p.client.CreateExternalEndpoint(&want)
	byID, err := p.client.GetExternalEndpointById(id)
	if err != nil {
		return err
	}
	byName, err := p.client.GetExternalEndpoint(want.Vendor, want.Name, want.Version)
	if err != nil {
		return err
	}
	all, err := p.client.GetAllExternalEndpoints(nil)
	if err != nil {
		return err
	}
	listed := find(all, func(e *govcd.ExternalEndpoint) bool { return e.ExternalEndpoint.ID == id })
	want.RootUrl = "https://www.example.com/updated"
	changed := want
	changed.ID = ""
	err = errors.Join(
		check(twice != nil, "the same endpoint could be created twice"),
		check(reflect.DeepEqual(byID, byName), "by id %+v, by name %+v", byID.ExternalEndpoint, byName.ExternalEndpoint),
		check(listed != nil && reflect.DeepEqual(listed, byID), "the list has another endpoint"),
		made.Update(changed),
		check(*made.ExternalEndpoint == want, "after the update: %+v", *made.ExternalEndpoint),
		check(made.Delete() != nil, "an enabled endpoint could be deleted"),
		drop(made),
	)
	_, gone := p.client.GetExternalEndpointById(id)
	return errors.Join(err, check(govcd.ContainsNotFound(gone), "after the end: %v", gone))
}

func find[T any](all []*T, is func(*T) bool) *T {
	for _, x := range all {
		if is(x) {
			return x
		}
	}
	return nil
}

// manyEndpoints is more than the largest page, so that the SDK has to follow
// the pages.
func (p *peer) manyEndpoints() (err error) {
	const n = 130
	for i := range n {
		e := endpoint(fmt.Sprintf("many_%d", i))
		made, err := p.client.CreateExternalEndpoint(&e)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop(made)) }()
	}
	all, err := p.client.GetAllExternalEndpoints(nil)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, e := range all {
		names[e.ExternalEndpoint.Name] = true
	}
	return check(len(all) == n && len(names) == n, "%d endpoints with %d names, want %d", len(all), len(names), n)
}

func (p *peer) filters() (err error) {
	e := endpoint("TestVCDTest_ApiFilter")
	system, err := p.client.CreateExternalEndpoint(&e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, drop(system)) }()
	want := types.ApiFilter{
		ExternalSystem: &types.OpenApiReference{ID: system.ExternalEndpoint.ID},
		UrlMatcher:     &types.UrlMatcher{UrlPattern: "/custom/.*", UrlScope: "EXT_API"},
	}
	made, err := p.client.CreateApiFilter(&want)
	if err != nil {
		return err
	}
	id := made.ApiFilter.ID
	got, err := p.client.GetApiFilterById(id)
	if err != nil {
		return err
	}
	query := url.Values{"filter": {"externalSystem.id==" + system.ExternalEndpoint.ID}}
	of, err := p.client.GetAllApiFilters(query)
	if err != nil {
		return err
	}
	changed := want
	changed.UrlMatcher = &types.UrlMatcher{UrlPattern: "/custom2/.*", UrlScope: "EXT_UI_TENANT"}
	err = errors.Join(
		check(got.ApiFilter.ExternalSystem.Name == e.Name, "the system's name is %q", got.ApiFilter.ExternalSystem.Name),
		check(*got.ApiFilter.UrlMatcher == *want.UrlMatcher, "matcher %+v", got.ApiFilter.UrlMatcher),
		check(got.ApiFilter.ResponseContentType == nil, "response content type %v", got.ApiFilter.ResponseContentType),
		check(len(of) == 1 && reflect.DeepEqual(of[0].ApiFilter, got.ApiFilter), "the list by system has %d filters", len(of)),
		made.Update(changed),
		check(made.ApiFilter.ID == id && *made.ApiFilter.UrlMatcher == *changed.UrlMatcher, "after the update: %+v", made.ApiFilter),
		made.Delete(),
	)
	_, gone := p.client.GetApiFilterById(id)
	return errors.Join(err, check(govcd.ContainsNotFound(gone), "after the end: %v", gone))
}

func (p *peer) tokens() error {
	const name = "peer-gosdk"
	made, err := p.client.CreateToken(org, name)
	if err != nil {
		return err
	}
	first, err := made.GetInitialApiToken()
	if err != nil {
		return err
	}
	_, again := made.GetInitialApiToken()
	found, err := p.client.GetTokenByNameAndUsername(name, p.user)
	if err != nil {
		return err
	}
	err = errors.Join(
		check(made.Token.Type == "REFRESH", "type %q", made.Token.Type),
		check(first.TokenType == "Bearer" && first.AccessToken != "" && first.RefreshToken != "" && first.ExpiresIn > 0, "the first grant is %q for %d s", first.TokenType, first.ExpiresIn),
		check(again != nil, "the first grant was given twice"),
		check(found.Token.ID == made.Token.ID && found.Token.Owner.Name == p.user, "found %+v", found.Token),
		found.Delete(),
	)
	_, gone := p.client.GetTokenById(made.Token.ID)
	_, none := p.client.GetTokenByNameAndUsername(name, p.user)
	dead := p.connect().SetToken(org, govcd.ApiTokenHeader, first.RefreshToken)
	return errors.Join(
		err,
		check(govcd.ContainsNotFound(gone), "by id after the end: %v", gone),
		check(govcd.ContainsNotFound(none), "by name after the end: %v", none),
		check(dead != nil, "the deleted token still logs in"),
	)
}

func (p *peer) tokenLogin() error {
	made, err := p.client.CreateToken(org, "peer-gosdk-login")
	if err != nil {
		return err
	}
	grant, err := made.GetInitialApiToken()
	if err != nil {
		return err
	}
	other := p.connect()
	if err := other.SetToken(org, govcd.ApiTokenHeader, grant.RefreshToken); err != nil {
		return err
	}
	s, err := other.Client.GetSessionInfo()
	if err != nil {
		return err
	}
	_, err = other.GetAllExternalEndpoints(nil)
	return errors.Join(err, check(s.User.Name == p.user, "logged in as %q", s.User.Name), made.Delete())
}

func (p *peer) logout() error {
	if err := p.client.Disconnect(); err != nil {
		return err
	}
	_, err := p.client.Client.GetSessionInfo()
	return check(err != nil, "the session is still good")
}
