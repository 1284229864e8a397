package cloudapi

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
	"github.com/annex-gateway/annex/core/internal/catalog"
)

// maxObjects is how many objects one call may apply: they become one commit.
const maxObjects = 1000

// applySize is how many times larger than another registration the body of an
// apply call may be.
const applySize = 8

// applyForm is a set of objects that shall be there together.
type applyForm struct {
	DryRun  bool           `json:"dryRun"` // tell what would change, and change nothing
	Prune   bool           `json:"prune"`  // delete what belongs to an object of the set and is not in it
	Objects []declaredForm `json:"objects"`
}

// declaredForm is one object. At is where the caller has it from, for errors.
type declaredForm struct {
	Kind   string         `json:"kind"`
	At     string         `json:"at"`
	Object jsontext.Value `json:"object"`
}

// appliedForm is what an apply call changed, or would.
type appliedForm struct {
	Applied bool         `json:"applied"`
	Changes []changeForm `json:"changes"`
}

// The kinds of changes.
const (
	changeCreate = "create"
	changeUpdate = "update"
	changeDelete = "delete"
	changeNone   = "none"
)

// changeForm is what became of one object. Differences are the members of an
// updated object that become others; a secret among them is only named.
type changeForm struct {
	Change      string           `json:"change"`
	Kind        string           `json:"kind"`
	Name        string           `json:"name"`
	ID          string           `json:"id"`
	Differences []differenceForm `json:"differences,omitzero"`
}

type differenceForm struct {
	Member string         `json:"member"`
	From   jsontext.Value `json:"from,omitzero"`
	To     jsontext.Value `json:"to,omitzero"`
}

// errDry ends a batch that shall change nothing.
var errDry = errors.New("nothing is to be changed")

// mountApply serves the call that applies a set of objects, all or none.
func (a *cloud) mountApply(e *echo.Echo) {
	a.route(e, applyPath, verbs{http.MethodPost: a.apply})
}

func (a *cloud) apply(c echo.Context) error {
	r := c.Request()
	if err := api.RequireType(r.Header, "application/json"); err != nil {
		return err
	}
	body, err := api.ReadBody(c.Response(), r, applySize*a.Limits.Admin)
	if err != nil {
		return err
	}
	var in applyForm
	if err := api.DecodeJSON(body, &in); err != nil {
		return err
	}
	if len(in.Objects) > maxObjects {
		return core.Errorf(core.TooLarge, "objects: at most %d are applied at once, and %d are given; nothing was changed: apply parts of them one after the other", maxObjects, len(in.Objects))
	}
	x, err := a.applyAll(r.Context(), actorOf(c), in)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, appliedForm{Applied: !in.DryRun, Changes: x.changes})
}

// applyAll makes one commit of the whole set.
func (a *cloud) applyAll(ctx context.Context, by actor, in applyForm) (*applying, error) {
	var x *applying
	err := a.Catalog.Batch(ctx, by.UserID, func(b *catalog.Batch) error {
		x = newApplying(ctx, a, by, b)
		if err := x.run(in); err != nil {
			return err
		}
		if in.DryRun {
			return errDry
		}
		return nil
	})
	switch {
	case errors.Is(err, errDry):
		return x, nil
	case core.ErrorCode(err) == core.TooLarge && err != nil:
		return x, core.WrapError(core.TooLarge, err, "%d objects are more than the store takes at once; nothing was changed: apply parts of them one after the other", len(in.Objects))
	case err != nil:
		return x, err
	}
	for _, f := range x.after {
		if err := f(ctx); err != nil {
			return x, err
		}
	}
	return x, nil
}

// applying is one run of an apply call; it begins anew when another writer
// came in between.
type applying struct {
	*cloud
	ctx     context.Context //nolint:containedctx // it lives for one run
	by      actor
	batch   *catalog.Batch
	kinds   []declaredKind
	made    map[string][]madeEntity // by kind: what the set itself brings
	seen    map[string]string       // id or place → where the set has it from
	found   map[string]string       // kind and name → id
	stored  map[string]any          // kind and parent → the entities that there were
	changes []changeForm
	after   []func(context.Context) error // once all is committed
}

// madeEntity is an entity of the set.
type madeEntity struct {
	id     string
	entity any
}

func newApplying(ctx context.Context, a *cloud, by actor, b *catalog.Batch) *applying {
	x := &applying{cloud: a, ctx: ctx, by: by, batch: b, made: map[string][]madeEntity{}, seen: map[string]string{}, found: map[string]string{}, stored: map[string]any{}}
	x.kinds = x.declared()
	return x
}

// run applies the objects: what others refer to first, and what goes last.
func (x *applying) run(in applyForm) error {
	for i, o := range in.Objects {
		if !slices.ContainsFunc(x.kinds, func(k declaredKind) bool { return k.word() == o.Kind }) {
			return core.Errorf(core.Invalid, "%s: kind %q: one of %s is needed", placeInSet(i, o), o.Kind, x.kindWords())
		}
	}
	for _, k := range x.kinds {
		for i, o := range in.Objects {
			if o.Kind != k.word() {
				continue
			}
			if err := k.apply(x, placeInSet(i, o), o.Object); err != nil {
				return err
			}
		}
	}
	if !in.Prune {
		return nil
	}
	for _, k := range slices.Backward(x.kinds) {
		if err := k.prune(x); err != nil {
			return err
		}
	}
	return nil
}

func (x *applying) kindWords() string {
	list := ""
	for _, k := range x.kinds {
		if list != "" {
			list += ", "
		}
		list += k.word()
	}
	return list
}

// placeInSet says where an object of the set is.
func placeInSet(i int, o declaredForm) string {
	if o.At != "" {
		return o.At
	}
	return "objects/" + itoa(i)
}

// find gives the entity of that kind that a name means.
func (x *applying) find(kind, name, org string) (string, error) {
	key := kind + "\x00" + org + "\x00" + name
	if id, ok := x.found[key]; ok {
		return id, nil
	}
	for _, k := range x.kinds {
		if k.word() == kind {
			id, err := k.find(x, name, org)
			if err == nil {
				x.found[key] = id
			}
			return id, err
		}
	}
	return "", core.Errorf(core.Internal, "there is no kind %q", kind)
}

// findAny gives what a name means among several kinds.
func (x *applying) findAny(kinds []string, name, org string) (string, error) {
	var last error
	for _, k := range kinds {
		id, err := x.find(k, name, org)
		if err == nil || core.ErrorCode(err) != core.NotFound {
			return id, err
		}
		last = err
	}
	return "", last
}
