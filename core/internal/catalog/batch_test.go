package catalog

import (
	"errors"
	"testing"

	"github.com/annex-gateway/annex/core"
)

func TestABatchChangesWhatBecomesAnotherAndLeavesTheRest(t *testing.T) {
	e := settle(t)
	rename := func(name string) (changed bool) {
		t.Helper()
		err := e.Batch(t.Context(), "urn:vcloud:user:me", func(b *Batch) error {
			var now core.ResourceClassAction
			var err error
			now, changed, err = e.Actions.UpdateIn(b, e.action.ID, func(a core.ResourceClassAction) (core.ResourceClassAction, error) {
				a.Name, a.ID, a.Created = name, "another", a.Created.AddDate(1, 0, 0)
				return a, nil
			})
			if err == nil && (now.ID != e.action.ID || now.Name != name) {
				err = errors.New("the batch shows another action")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return changed
	}
	before, err := e.Actions.Get(t.Context(), e.action.ID)
	if err != nil {
		t.Fatal(err)
	}
	if rename(before.Name) {
		t.Error("what stays the same is said to change")
	}
	if now, _ := e.Actions.Get(t.Context(), e.action.ID); now != before {
		t.Errorf("what stays the same is written: %+v, before %+v", now, before)
	}
	if !rename("renamed") {
		t.Error("what changes is said to stay")
	}
	now, _ := e.Actions.Get(t.Context(), e.action.ID)
	if now.Name != "renamed" || now.Created != before.Created || now.ModifiedBy != "urn:vcloud:user:me" {
		t.Errorf("stored is %+v", now)
	}
}

func TestABatchDeletesWhatOnlyTheBatchItselfFrees(t *testing.T) {
	e := settle(t)
	if err := e.Batch(t.Context(), "", func(b *Batch) error { return e.Resources.DeleteIn(b, e.resource.ID) }); core.ErrorCode(err) != core.Conflict {
		t.Fatalf("a resource that a rule names is deleted: %v", err)
	}
	err := e.Batch(t.Context(), "", func(b *Batch) error {
		if err := e.Rules.DeleteIn(b, e.rule.ID); err != nil {
			return err
		}
		return e.Resources.DeleteIn(b, e.resource.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestABatchThatLooksAtChildrenNoticesAnotherOne(t *testing.T) {
	e := settle(t)
	runs := 0
	err := e.Batch(t.Context(), "", func(b *Batch) error {
		runs++
		n := 0
		for _, err := range e.Classes.UnderIn(b, e.service.ID) {
			if err != nil {
				return err
			}
			n++
		}
		if runs == 1 { // somebody else is quicker
			if _, err := e.Classes.Create(t.Context(), "", core.ResourceClass{System: e.service.ID, Name: "quick", MimeType: "a/b"}); err != nil {
				return err
			}
		}
		if runs == 2 && n != 2 {
			t.Errorf("the second run sees %d classes", n)
		}
		_, err := e.Classes.CreateIn(b, core.ResourceClass{System: e.service.ID, Name: "slow", MimeType: "a/b"})
		return err
	})
	if err != nil || runs != 2 {
		t.Errorf("%d runs, %v", runs, err)
	}
}
