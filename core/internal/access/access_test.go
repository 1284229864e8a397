package access

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/annex-gateway/annex/core"
)

// orgs is who owns things in these tests.
type orgs map[string]core.Org

func (o orgs) Org(id string) (core.Org, bool) {
	x, ok := o[id]
	return x, ok
}

const (
	sysID  = "urn:vcloud:extension-api:acme:backup:1.0.0"
	acme   = core.OrgPrefix + "00000000-0000-0000-0000-00000000000a"
	other  = core.OrgPrefix + "00000000-0000-0000-0000-00000000000b"
	ann    = core.UserPrefix + "ann"
	right  = core.RightPrefix + "restore"
	class  = core.ClassPrefix + "backup"
	ofOrgs = core.ClassPrefix + "org"
	get    = core.ActionPrefix + "get"
	getOrg = core.ActionPrefix + "getOrg"
)

// world is a compiler with two classes, an action each, and two backups.
func world() *Compiler {
	c := NewCompiler()
	c.Class(class, &core.ResourceClass{ID: class, System: sysID, MimeType: "application/backup+xml"})
	c.Class(ofOrgs, &core.ResourceClass{ID: ofOrgs, System: sysID, MimeType: "application/vnd.vmware.admin.organization+xml"})
	c.Action(get, &core.ResourceClassAction{ID: get, Class: class, HTTPMethod: "GET", URLPattern: "/api/backup/(?<id>[-,a-g,0-9]*)"})
	c.Action(getOrg, &core.ResourceClassAction{ID: getOrg, Class: ofOrgs, HTTPMethod: "GET", URLPattern: "/api/org/(?<id>[-,a-g,0-9]+)/currentTime"})
	c.Resource("urn:vcloud:serviceResource:1", &core.ServiceResource{ID: "urn:vcloud:serviceResource:1", Class: class, OrgID: acme, ExternalObjectID: "123-456"})
	c.Resource("urn:vcloud:serviceResource:2", &core.ServiceResource{ID: "urn:vcloud:serviceResource:2", Class: class, OrgID: other, ExternalObjectID: "789"})
	return c
}

func shared() core.Reach            { return core.Reach{Access: core.AccessShared} }
func published() core.Reach         { return core.Reach{Access: core.AccessPublished} }
func only(entity string) core.Reach { return core.Reach{Access: core.AccessEntity, Entity: entity} }

func callerOf(user, org string, rights ...string) core.Caller {
	var refs []core.Ref
	for _, r := range rights {
		refs = append(refs, core.Ref{ID: r, Name: r})
	}
	return core.Caller{UserID: user, OrgID: org, Rights: core.RightsOf(refs...)}
}

func ask(p *Policy, c core.Caller, method, path string) Decision {
	return p.Decide(Query{
		Caller: c, System: core.System{ID: sysID, AuthorizationEnabled: true}, Method: method, Path: path,
		Orgs: orgs{acme: {ID: acme}, other: {ID: other}, core.SystemOrgID: {ID: core.SystemOrgID}},
	})
}

func TestRules(t *testing.T) {
	admin := core.Caller{UserID: "root", OrgID: core.SystemOrgID, Rights: core.AllRights()}
	for name, tc := range map[string]struct {
		rule   core.ACLRule
		caller core.Caller
		method string
		path   string
		want   bool
	}{
		"published to all, anybody":                     {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "GET", "/api/backup/123-456", true},
		"HEAD is authorized by GET's actions":           {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "HEAD", "/api/backup/123-456", true},
		"another method has no action":                  {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "POST", "/api/backup/123-456", false},
		"a method that no action can name":              {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "PATCH", "/api/backup/123-456", false},
		"a resource that is not registered":             {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "GET", "/api/backup/999", false},
		"an empty id":                                   {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "GET", "/api/backup/", false},
		"a path that the pattern is only found in":      {core.ACLRule{Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "GET", "/api/x/api/backup/789", false},
		"members of the owner, a member":                {core.ACLRule{Resource: shared(), Org: shared(), Principal: shared()}, callerOf(ann, acme), "GET", "/api/backup/123-456", true},
		"members of the owner, somebody else":           {core.ACLRule{Resource: shared(), Org: shared(), Principal: shared()}, callerOf(ann, other), "GET", "/api/backup/123-456", false},
		"members of the owner, a system administrator":  {core.ACLRule{Resource: shared(), Org: shared(), Principal: shared()}, admin, "GET", "/api/backup/123-456", false},
		"one organisation, a member":                    {core.ACLRule{Resource: shared(), Org: only(other), Principal: shared()}, callerOf(ann, other), "GET", "/api/backup/123-456", true},
		"one organisation, the owner's member":          {core.ACLRule{Resource: shared(), Org: only(other), Principal: shared()}, callerOf(ann, acme), "GET", "/api/backup/123-456", false},
		"one resource, that one":                        {core.ACLRule{Resource: only("urn:vcloud:serviceResource:2"), Org: published(), Principal: shared()}, callerOf(ann, acme), "GET", "/api/backup/789", true},
		"one resource, another":                         {core.ACLRule{Resource: only("urn:vcloud:serviceResource:2"), Org: published(), Principal: shared()}, callerOf(ann, acme), "GET", "/api/backup/123-456", false},
		"one user, that one":                            {core.ACLRule{Resource: shared(), Org: published(), Principal: only(ann)}, callerOf(ann, acme), "GET", "/api/backup/789", true},
		"one user, another":                             {core.ACLRule{Resource: shared(), Org: published(), Principal: only(ann)}, callerOf("bob", acme), "GET", "/api/backup/789", false},
		"a right, held":                                 {core.ACLRule{Resource: shared(), Org: published(), Principal: only(right)}, callerOf(ann, acme, "urn:vcloud:right:x", right), "GET", "/api/backup/789", true},
		"a right, not held":                             {core.ACLRule{Resource: shared(), Org: published(), Principal: only(right)}, callerOf(ann, acme, "urn:vcloud:right:x"), "GET", "/api/backup/789", false},
		"a right, a system administrator holds all":     {core.ACLRule{Resource: shared(), Org: published(), Principal: only(right)}, admin, "GET", "/api/backup/789", true},
		"a right of the owner's members, an outsider":   {core.ACLRule{Resource: shared(), Org: shared(), Principal: only(right)}, callerOf(ann, acme, right), "GET", "/api/backup/789", false},
		"an organisation as resource, by uuid":          {core.ACLRule{Action: getOrg, Resource: shared(), Org: shared(), Principal: shared()}, callerOf(ann, acme), "GET", "/api/org/00000000-0000-0000-0000-00000000000a/currentTime", true},
		"an organisation as resource, another's member": {core.ACLRule{Action: getOrg, Resource: shared(), Org: shared(), Principal: shared()}, callerOf(ann, other), "GET", "/api/org/00000000-0000-0000-0000-00000000000a/currentTime", false},
		"an organisation that does not exist":           {core.ACLRule{Action: getOrg, Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "GET", "/api/org/00000000-0000-0000-0000-00000000000c/currentTime", false},
		"the rule of another action":                    {core.ACLRule{Action: getOrg, Resource: shared(), Org: published(), Principal: shared()}, callerOf(ann, other), "GET", "/api/backup/789", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := world()
			r := tc.rule
			if r.Action == "" {
				r.Action = get
			}
			c.Rule("r", &r)
			d := ask(c.Policy(), tc.caller, tc.method, tc.path)
			if d.Allowed != tc.want || d.Reason == "" {
				t.Errorf("got %+v, want %v", d, tc.want)
			}
			if d.Allowed && d.Considered[len(d.Considered)-1].Rule != "r" {
				t.Errorf("%+v names no rule", d)
			}
			c.Rule("r", nil)
			if ask(c.Policy(), tc.caller, tc.method, tc.path).Allowed {
				t.Error("still allowed after the rule went")
			}
		})
	}
}

func TestWithoutAuthorizationEverybodyMay(t *testing.T) {
	if d := new(Policy).Decide(Query{}); !d.Allowed || d.Reason == "" {
		t.Errorf("got %+v", d)
	}
}

func TestEnabledWithoutRulesRefuses(t *testing.T) {
	for name, p := range map[string]*Policy{"the zero policy": new(Policy), "classes without rules": world().Policy()} {
		if d := ask(p, core.Caller{OrgID: core.SystemOrgID, Rights: core.AllRights()}, "GET", "/api/backup/789"); d.Allowed || d.Reason == "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestAnActionWithoutGroupNeverAuthorizes(t *testing.T) {
	c := world()
	c.Action("all", &core.ResourceClassAction{ID: "all", Class: class, HTTPMethod: "GET", URLPattern: "/api/.*"})
	c.Rule("r", &core.ACLRule{Action: "all", Resource: shared(), Org: published(), Principal: shared()})
	if ask(c.Policy(), callerOf(ann, acme), "GET", "/api/backup/789").Allowed {
		t.Error("allowed")
	}
}

func TestTheOrderOfRegistrationDoesNotMatter(t *testing.T) {
	c := NewCompiler()
	c.Rule("r", &core.ACLRule{Action: get, Resource: shared(), Org: published(), Principal: shared()})
	c.Resource("x", &core.ServiceResource{ID: "x", Class: class, OrgID: acme, ExternalObjectID: "1"})
	c.Action(get, &core.ResourceClassAction{ID: get, Class: class, HTTPMethod: "GET", URLPattern: "/api/backup/(?<id>.*)"})
	if ask(c.Policy(), callerOf(ann, acme), "GET", "/api/backup/1").Allowed {
		t.Error("allowed without the class")
	}
	before := c.Policy()
	c.Class(class, &core.ResourceClass{ID: class, System: sysID})
	if !ask(c.Policy(), callerOf(ann, acme), "GET", "/api/backup/1").Allowed {
		t.Error("refused with all there")
	}
	if ask(before, callerOf(ann, acme), "GET", "/api/backup/1").Allowed {
		t.Error("an older policy changed")
	}
	c.Class(class, nil)
	if ask(c.Policy(), callerOf(ann, acme), "GET", "/api/backup/1").Allowed {
		t.Error("allowed after the class went")
	}
}

// TestThePolicyEqualsALookAtEveryRule compares with the rules as they read.
func TestThePolicyEqualsALookAtEveryRule(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	pick := func(s ...string) string { return s[rnd.IntN(len(s))] }
	for range 3000 {
		c := world()
		var rules []core.ACLRule
		for i := range rnd.IntN(4) {
			r := core.ACLRule{ID: fmt.Sprint(i), Action: get}
			r.Resource = []core.Reach{shared(), only("urn:vcloud:serviceResource:" + pick("1", "2"))}[rnd.IntN(2)]
			r.Org = []core.Reach{shared(), published(), only(pick(acme, other))}[rnd.IntN(3)]
			r.Principal = []core.Reach{shared(), only(ann), only(right)}[rnd.IntN(3)]
			rules = append(rules, r)
			c.Rule(r.ID, &r)
		}
		if len(rules) > 1 && rnd.IntN(2) == 0 {
			c.Rule(rules[0].ID, nil)
			rules = rules[1:]
		}
		caller := callerOf(pick(ann, "bob"), pick(acme, other))
		if rnd.IntN(2) == 0 {
			caller = callerOf(caller.UserID, caller.OrgID, right)
		}
		res, owner, oid := "urn:vcloud:serviceResource:1", acme, "123-456"
		if rnd.IntN(2) == 0 {
			res, owner, oid = "urn:vcloud:serviceResource:2", other, "789"
		}
		want := false
		for _, r := range rules {
			resource := r.Resource.Access == core.AccessShared || r.Resource.Entity == res
			org := r.Org.Access == core.AccessPublished || r.Org.Access == core.AccessShared && caller.OrgID == owner || r.Org.Entity == caller.OrgID
			who := r.Principal.Access == core.AccessShared || r.Principal.Entity == caller.UserID || caller.Rights.HasID(r.Principal.Entity)
			want = want || resource && org && who
		}
		if d := ask(c.Policy(), caller, "GET", "/api/backup/"+oid); d.Allowed != want {
			t.Fatalf("rules %+v, caller %+v, resource %s: %+v, want %v", rules, caller, oid, d, want)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n, " rules and resources"), func(b *testing.B) {
			c := world()
			for i := range n {
				id := fmt.Sprint("urn:vcloud:serviceResource:", 1000+i)
				c.Resource(id, &core.ServiceResource{ID: id, Class: class, OrgID: acme, ExternalObjectID: fmt.Sprint(1000 + i)})
				c.Rule(fmt.Sprint(i), &core.ACLRule{ID: fmt.Sprint(i), Action: get, Resource: only(id), Org: shared(), Principal: only(right)})
			}
			p := c.Policy()
			caller := callerOf(ann, acme, right)
			path := fmt.Sprint("/api/backup/", 1000+n/2)
			if !ask(p, caller, "GET", path).Allowed {
				b.Fatal("refused")
			}
			o := orgs{}
			sys := core.System{ID: sysID, AuthorizationEnabled: true}
			b.ReportAllocs()
			for b.Loop() {
				p.Decide(Query{Caller: caller, System: sys, Method: "GET", Path: path, Orgs: o})
			}
		})
	}
}
