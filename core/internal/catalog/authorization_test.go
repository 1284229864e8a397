package catalog

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/storage/memory"
)

// estate is a service with one of everything that can belong to it.
type estate struct {
	*Catalog
	store      *memory.Store
	service    core.System
	class      core.ResourceClass
	action     core.ResourceClassAction
	org        core.Org
	resource   core.ServiceResource
	right      core.Right
	rule       core.ACLRule
	link       core.Link
	definition core.APIDefinition
	file       core.FileDescriptor
}

func shared() core.Reach { return core.Reach{Access: core.AccessShared} }
func entity(id string) core.Reach {
	return core.Reach{Access: core.AccessEntity, Entity: id}
}

func settle(t *testing.T) *estate {
	t.Helper()
	store := memory.New()
	e := &estate{Catalog: open(t, store), store: store}
	e.service = mustCreate(t, e.Systems, service("backup"))
	e.class = mustCreate(t, e.Classes, core.ResourceClass{System: e.service.ID, Name: "Backup", MimeType: "application/backup+xml", URNPattern: "b(?<id>.*)"})
	e.action = mustCreate(t, e.Actions, core.ResourceClassAction{Class: e.class.ID, Name: "read", HTTPMethod: "GET", URLPattern: "/api/backup/(?<id>.*)"})
	e.org = mustCreate(t, e.Orgs, core.Org{Name: "acme", Enabled: true})
	e.resource = mustCreate(t, e.Resources, core.ServiceResource{Class: e.class.ID, Name: "b1", OrgID: e.org.ID, ExternalObjectID: "1"})
	e.right = mustCreate(t, e.Rights, core.Right{Name: "{" + e.service.Namespace + "}:look", ServiceNamespace: e.service.Namespace})
	e.rule = mustCreate(t, e.Rules, core.ACLRule{
		Action: e.action.ID, Name: "r", Resource: entity(e.resource.ID), Org: shared(), Principal: entity(e.right.ID),
	})
	e.link = mustCreate(t, e.Links, core.Link{System: e.service.ID, Href: "{baseUri}x", MimeType: "text/plain", Rel: "x", ResourceType: "a/b"})
	e.definition = mustCreate(t, e.Definitions, core.APIDefinition{System: e.service.ID, Name: "api", Versions: []string{"1"}})
	e.file = mustCreate(t, e.Files, core.FileDescriptor{Definition: e.definition.ID, Name: "readme", Href: "https://h/readme"})
	return e
}

func registered(t *testing.T, e *estate) []string {
	t.Helper()
	var out []string
	for _, k := range keys(t, e.store) {
		if rest, ok := strings.CutPrefix(k, registry); ok {
			table, _, _ := strings.Cut(rest, "/")
			out = append(out, table)
		}
	}
	slices.Sort(out)
	return out
}

func TestAServiceTakesAlongAllThatBelongsToIt(t *testing.T) {
	e := settle(t)
	if err := e.Systems.Delete(t.Context(), e.service.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got := registered(t, e); !slices.Equal(got, []string{"org"}) {
		t.Errorf("left are %v", got)
	}
	for _, k := range keys(t, e.store) {
		if strings.HasPrefix(k, under) || strings.HasPrefix(k, refs) || strings.HasPrefix(k, opKeys) {
			t.Errorf("left is %s", k)
		}
	}
}

func TestARightThatSomebodyElseNamesOutlivesItsService(t *testing.T) {
	e := settle(t)
	role := mustCreate(t, e.Roles, core.Role{Name: "keeper", RightIDs: []string{e.right.ID}})
	if err := e.Systems.Delete(t.Context(), e.service.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rights.Get(t.Context(), e.right.ID); err != nil {
		t.Fatalf("the right: %v", err)
	}
	if err := e.ClearUnusedRights(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rights.Get(t.Context(), e.right.ID); err != nil {
		t.Fatalf("the right that a role holds: %v", err)
	}
	if err := e.Roles.Delete(t.Context(), role.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.ClearUnusedRights(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rights.Get(t.Context(), e.right.ID); core.ErrorCode(err) != core.NotFound {
		t.Fatalf("the right that nobody holds: %v", err)
	}
}

func TestARuleOfAnotherServiceKeepsARight(t *testing.T) {
	e := settle(t)
	other := mustCreate(t, e.Systems, service("other"))
	class := mustCreate(t, e.Classes, core.ResourceClass{System: other.ID, Name: "c", MimeType: "a/b"})
	action := mustCreate(t, e.Actions, core.ResourceClassAction{Class: class.ID, Name: "a", HTTPMethod: "GET", URLPattern: "/x"})
	mustCreate(t, e.Rules, core.ACLRule{Action: action.ID, Name: "r", Org: shared(), Principal: entity(e.right.ID)})
	if err := e.Systems.Delete(t.Context(), e.service.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Rights.Get(t.Context(), e.right.ID); err != nil {
		t.Fatalf("the right: %v", err)
	}
}

func TestClearingLeavesTheRightsOfServicesThatAreThere(t *testing.T) {
	e := settle(t)
	unused := mustCreate(t, e.Rights, core.Right{Name: "{" + e.service.Namespace + "}:other", ServiceNamespace: e.service.Namespace})
	builtIn := mustCreate(t, e.Rights, core.Right{Name: "built in"})
	if err := e.ClearUnusedRights(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{unused.ID, builtIn.ID, e.right.ID} {
		if _, err := e.Rights.Get(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsInUseStays(t *testing.T) {
	e := settle(t)
	for name, del := range map[string]func() error{
		"a right that a rule names":    func() error { return e.Rights.Delete(t.Context(), e.right.ID, nil) },
		"a resource that a rule names": func() error { return e.Resources.Delete(t.Context(), e.resource.ID, nil) },
	} {
		if err := del(); core.ErrorCode(err) != core.Conflict || !strings.Contains(err.Error(), e.rule.ID) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := e.Rules.Delete(t.Context(), e.rule.ID, nil); err != nil {
		t.Fatal(err)
	}
	if err := e.Rights.Delete(t.Context(), e.right.ID, nil); err != nil {
		t.Error(err)
	}
	if err := e.Classes.Delete(t.Context(), e.class.ID, nil); err != nil {
		t.Error(err)
	}
}

func TestAuthorizationThatIsRefusedLeavesNothing(t *testing.T) {
	e := settle(t)
	door := mustCreate(t, e.Systems, endpoint("door"))
	orgs := mustCreate(t, e.Classes, core.ResourceClass{System: e.service.ID, Name: "org", MimeType: "application/vnd.vmware.admin.organization+xml"})
	orgAction := mustCreate(t, e.Actions, core.ResourceClassAction{Class: orgs.ID, Name: "a", HTTPMethod: "GET", URLPattern: "/x/(?<id>.*)"})
	other := mustCreate(t, e.Classes, core.ResourceClass{System: e.service.ID, Name: "other", MimeType: "a/b"})
	otherAction := mustCreate(t, e.Actions, core.ResourceClassAction{Class: other.ID, Name: "a", HTTPMethod: "GET", URLPattern: "/x"})
	before := keys(t, e.store)
	class := func(k core.ResourceClass) error { _, err := e.Classes.Create(t.Context(), "", k); return err }
	action := func(a core.ResourceClassAction) error { _, err := e.Actions.Create(t.Context(), "", a); return err }
	rule := func(r core.ACLRule) error { _, err := e.Rules.Create(t.Context(), "", r); return err }
	resource := func(r core.ServiceResource) error {
		_, err := e.Resources.Create(t.Context(), "", r)
		return err
	}
	for name, c := range map[string]struct {
		err  error
		want core.Code
	}{
		"a class of an endpoint":                {class(core.ResourceClass{System: door.ID, Name: "c", MimeType: "a/b"}), core.Invalid},
		"a class of nothing":                    {class(core.ResourceClass{System: core.ServicePrefix + "a:b:1.0.0", Name: "c", MimeType: "a/b"}), core.Invalid},
		"a class with a group of another name":  {class(core.ResourceClass{System: e.service.ID, Name: "c", MimeType: "a/b", URNPattern: "(?<x>.*)"}), core.Invalid},
		"an action with two groups named id":    {action(core.ResourceClassAction{Class: e.class.ID, Name: "a", HTTPMethod: "GET", URLPattern: "/(?<id>a)/(?<id>b)"}), core.Invalid},
		"an action with a group of another one": {action(core.ResourceClassAction{Class: e.class.ID, Name: "a", HTTPMethod: "GET", URLPattern: "/(?<url>a)"}), core.Invalid},
		"an action for a method that is none":   {action(core.ResourceClassAction{Class: e.class.ID, Name: "a", HTTPMethod: "PATCH", URLPattern: "/a"}), core.Invalid},
		"an action of no class":                 {action(core.ResourceClassAction{Class: core.ClassPrefix + core.NewUUID(), Name: "a", HTTPMethod: "GET", URLPattern: "/a"}), core.Invalid},
		"a resource of no organisation":         {resource(core.ServiceResource{Class: e.class.ID, Name: "x", ExternalObjectID: "2", OrgID: core.OrgPrefix + core.NewUUID()}), core.Invalid},
		"a resource that is there":              {resource(core.ServiceResource{Class: e.class.ID, Name: "x", ExternalObjectID: "1", OrgID: e.org.ID}), core.Conflict},
		"a rule for another class's resource":   {rule(core.ACLRule{Action: otherAction.ID, Name: "r", Resource: entity(e.resource.ID), Org: shared(), Principal: shared()}), core.Invalid},
		"a rule for a resource, of orgs":        {rule(core.ACLRule{Action: orgAction.ID, Name: "r", Resource: entity(e.resource.ID), Org: shared(), Principal: shared()}), core.Invalid},
		"a rule for nobody":                     {rule(core.ACLRule{Action: e.action.ID, Name: "r", Org: shared(), Principal: entity(core.UserPrefix + core.NewUUID())}), core.Invalid},
		"a rule for a right that is not":        {rule(core.ACLRule{Action: e.action.ID, Name: "r", Org: shared(), Principal: entity(core.RightPrefix + core.NewUUID())}), core.Invalid},
		"a rule for an org that is not":         {rule(core.ACLRule{Action: e.action.ID, Name: "r", Org: entity(core.OrgPrefix + core.NewUUID()), Principal: shared()}), core.Invalid},
		"a rule of no action":                   {rule(core.ACLRule{Action: core.ActionPrefix + core.NewUUID(), Name: "r", Org: shared(), Principal: shared()}), core.Invalid},
	} {
		if c.err == nil || core.ErrorCode(c.err) != c.want {
			t.Errorf("%s: %v, want %s", name, c.err, c.want)
		}
	}
	if got := keys(t, e.store); !slices.Equal(got, before) {
		t.Errorf("something was left: %d keys and %d before", len(got), len(before))
	}
}

func TestABatchIsAllOrNothing(t *testing.T) {
	store := memory.New()
	c := open(t, store)
	before := keys(t, store)
	whole := func(pattern string) error {
		return c.Batch(t.Context(), "urn:vcloud:user:me", func(b *Batch) error {
			s, err := c.Systems.CreateIn(b, service("backup"))
			if err != nil {
				return err
			}
			k, err := c.Classes.CreateIn(b, core.ResourceClass{System: s.ID, Name: "c", MimeType: "a/b"})
			if err != nil {
				return err
			}
			_, err = c.Actions.CreateIn(b, core.ResourceClassAction{Class: k.ID, Name: "a", HTTPMethod: "GET", URLPattern: pattern})
			return err
		})
	}
	if err := whole("/("); core.ErrorCode(err) != core.Invalid {
		t.Fatalf("got %v", err)
	}
	if got := keys(t, store); !slices.Equal(got, before) {
		t.Fatalf("left are %v", got)
	}
	if err := whole("/a"); err != nil {
		t.Fatal(err)
	}
	if err := whole("/a"); core.ErrorCode(err) != core.Conflict {
		t.Fatalf("a second time: %v", err)
	}
	id := core.SystemID(core.KindMQTT, "acme", "backup", "1.0.0")
	for k, err := range c.Classes.Under(t.Context(), id) {
		if err != nil || k.CreatedBy != "urn:vcloud:user:me" || k.Revision == 0 {
			t.Fatalf("%+v, %v", k, err)
		}
	}
	if err := c.Systems.Delete(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
}

func TestABatchSeesWhatItDid(t *testing.T) {
	e := settle(t)
	err := e.Batch(t.Context(), "", func(b *Batch) error {
		if err := e.Rules.DeleteIn(b, e.rule.ID); err != nil {
			return err
		}
		if _, err := e.Rules.GetIn(b, e.rule.ID); core.ErrorCode(err) != core.NotFound {
			return fmt.Errorf("a rule that the batch deleted: %w", err)
		}
		_, err := e.Rules.CreateIn(b, core.ACLRule{Action: e.action.ID, Name: "again", Org: shared(), Principal: shared()})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r, err := range e.Rules.Under(t.Context(), e.action.ID) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"again"}) {
		t.Errorf("rules %v", names)
	}
}

func TestAnOperationKeyIsGoodForOneRegistration(t *testing.T) {
	e := settle(t)
	create := func(name string) core.ResourceClass {
		k := core.ResourceClass{System: e.service.ID, Name: name, MimeType: "a/b"}
		k.OperationKey = "once"
		var out core.ResourceClass
		err := e.Batch(t.Context(), "", func(b *Batch) (err error) {
			out, err = e.Classes.CreateIn(b, k)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	first, second := create("one"), create("two")
	if second.ID != first.ID || second.Name != "one" || second.Revision == 0 || first.Revision != 0 {
		t.Fatalf("got %+v, and %+v at first", second, first)
	}
	third, err := e.Classes.Create(t.Context(), "", core.ResourceClass{Meta: core.Meta{OperationKey: "once"}, System: e.service.ID, Name: "three", MimeType: "a/b"})
	if err != nil || third.ID != first.ID {
		t.Fatalf("got %+v, %v", third, err)
	}
	if err := e.Classes.Delete(t.Context(), first.ID, nil); err != nil {
		t.Fatal(err)
	}
	if again := create("four"); again.ID == first.ID {
		t.Fatal("the key outlived what it was used for")
	}
}

// Writers that meet: every batch is whole, and the sums come out.
func TestHammerBatchesAgainstDeletions(t *testing.T) {
	e := settle(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 10 {
				err := e.Batch(t.Context(), "", func(b *Batch) error {
					k, err := e.Classes.CreateIn(b, core.ResourceClass{System: e.service.ID, Name: fmt.Sprintf("%d-%d", w, i), MimeType: "a/b"})
					if err != nil {
						return err
					}
					_, err = e.Actions.CreateIn(b, core.ResourceClassAction{Class: k.ID, Name: "a", HTTPMethod: "GET", URLPattern: "/a"})
					return err
				})
				if code := core.ErrorCode(err); err != nil && code != core.Conflict && code != core.Invalid {
					t.Error(err)
				}
				if w == 0 && i == 5 {
					if err := e.Systems.Delete(t.Context(), e.service.ID, nil); err != nil && core.ErrorCode(err) != core.Conflict {
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	if err := e.Systems.Delete(t.Context(), e.service.ID, nil); err != nil && core.ErrorCode(err) != core.NotFound {
		t.Fatal(err)
	}
	if got := registered(t, e); !slices.Equal(got, []string{"org"}) {
		t.Errorf("orphans: %v", got)
	}
}

func TestAnOperationKeyBelongsToAParent(t *testing.T) {
	e := settle(t)
	other := mustCreate(t, e.Systems, service("other"))
	create := func(system, key string) (core.Filter, error) {
		return e.Filters.Create(t.Context(), "", core.Filter{Meta: core.Meta{OperationKey: key}, System: system, Scope: core.ScopeAPI, URLPattern: "/x"})
	}
	must := func(system string) core.Filter {
		t.Helper()
		f, err := create(system, "k")
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, two, three := must(e.service.ID), must(e.service.ID), must(other.ID)
	if one.ID != two.ID || one.ID == three.ID {
		t.Fatalf("made %s, %s and %s", one.ID, two.ID, three.ID)
	}
	// A filter that moved on and went takes no key along.
	if _, err := e.Filters.Update(t.Context(), "", one.ID, nil, func(f core.Filter) (core.Filter, error) {
		f.System = other.ID
		return f, nil
	}); err != nil {
		t.Fatal(err)
	}
	if again := must(e.service.ID); again.ID != one.ID {
		t.Errorf("made %s, and %s at first", again.ID, one.ID)
	}
	if err := e.Filters.Delete(t.Context(), one.ID, nil); err != nil {
		t.Fatal(err)
	}
	if again := must(e.service.ID); again.ID == one.ID {
		t.Error("the key gives what is gone")
	}
	for _, key := range []string{strings.Repeat("k", 256), "a\nb"} {
		if _, err := create(other.ID, key); core.ErrorCode(err) != core.Invalid {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestWhatIsInUseSaysByWhom(t *testing.T) {
	e := settle(t)
	mustCreate(t, e.Roles, core.Role{Name: "keeper", RightIDs: []string{e.right.ID}})
	if err := e.Rights.Delete(t.Context(), e.right.ID, nil); core.ErrorCode(err) != core.Conflict || !strings.Contains(err.Error(), `"keeper"`) && !strings.Contains(err.Error(), `"r"`) {
		t.Errorf("got %v", err)
	}
	if err := e.Resources.Delete(t.Context(), e.resource.ID, nil); core.ErrorCode(err) != core.Conflict || !strings.Contains(err.Error(), `ACL rule "r"`) {
		t.Errorf("got %v", err)
	}
}

func TestBuiltInRightsStayAsTheyAre(t *testing.T) {
	e := settle(t)
	if err := e.SeedRights(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	r, err := e.Rights.ByUnique(t.Context(), "name/"+RightUserView)
	if err != nil {
		t.Fatal(err)
	}
	change := func(r core.Right) (core.Right, error) {
		r.Description = "x"
		return r, nil
	}
	if _, err := e.Rights.Update(t.Context(), "", r.ID, nil, change); core.ErrorCode(err) != core.Invalid {
		t.Errorf("a built-in right: %v", err)
	}
	if got, err := e.Rights.Update(t.Context(), "", e.right.ID, nil, change); err != nil || got.Description != "x" {
		t.Errorf("a right of a service: %+v, %v", got, err)
	}
}
