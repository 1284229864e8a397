package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/pattern"
)

func (c *Catalog) declare() {
	c.Systems = addTable(c, c.systemRules())
	c.Filters = addTable(c, c.filterRules())
	c.Tokens = addTable(c, c.tokenRules())
	c.Modules = addTable(c, c.moduleRules())
	c.declareIdentity()
	c.declareAuthorization()
	c.declareDiscovery()
}

func (c *Catalog) systemRules() rules[core.System] {
	return rules[core.System]{
		name: "system", noun: "external system",
		id:   func(s *core.System) *string { return &s.ID },
		meta: func(s *core.System) *core.Meta { return &s.Meta },
		unique: func(s core.System) []string {
			// Endpoints have no namespace; the uuid is how XML names a service.
			if s.IsEndpoint() {
				return nil
			}
			words := []string{"namespace/" + s.Namespace, "uuid/" + s.UUID()}
			if set, err := core.DecodeSettings[core.AMQPSettings](s); s.Kind == core.KindAMQP && err == nil {
				words = append(words, "RoutingKey/"+set.RoutingKey)
			}
			return words
		},
		prepare: c.prepareSystem,
		keep: func(s *core.System, old core.System) {
			s.Kind, s.Version, s.Namespace = old.Kind, old.Version, old.Namespace
			if s.Kind != core.KindAMQP { // where they are no part of the id
				s.Vendor, s.Name = old.Vendor, old.Name
			}
		},
		check: c.checkModule,
		drop: func(x *tx, s core.System) error {
			if s.Enabled {
				return core.Errorf(core.Invalid, "%s %s is enabled: disable it before you delete it", familyNoun(s), s.Triplet())
			}
			if err := c.dropUnusedRights(x, s); err != nil {
				return err
			}
			return x.dropState(s.ID)
		},
	}
}

func familyNoun(s core.System) string {
	if s.IsEndpoint() {
		return "external endpoint"
	}
	return "external service"
}

// prepareSystem completes a registration and has its kind check it.
func (c *Catalog) prepareSystem(ctx context.Context, s *core.System) error {
	if s.Namespace == "" && s.Version != "" && !s.IsEndpoint() {
		s.Namespace = s.Vendor + "." + s.Name + "." + s.Version
	}
	s.ID = s.DerivedID()
	if err := s.Validate(); err != nil {
		return err
	}
	if s.Kind == core.KindAMQP {
		set, err := core.DecodeSettings[core.AMQPSettings](*s)
		if err == nil {
			err = set.Validate()
		}
		if err != nil {
			return err
		}
	}
	kind, ok := c.kinds[s.Kind]
	switch {
	case ok:
		return kind.Check(ctx, *s)
	case s.Kind == core.KindAMQP:
		return nil // kept as it is; see dormantStages
	}
	return core.Errorf(core.Invalid, "kind %q: this gateway serves %s", s.Kind, strings.Join(c.kindNames(), ", "))
}

// dormantStages are where services on AMQP may stand on a gateway without a
// broker for them. They can be registered there all the same, so that what is
// registered does not depend on how a gateway is configured; calls to them
// fail with Unavailable.
func dormantStages() []core.Stage { return []core.Stage{core.OnDispatch, core.OnResponse} }

// stages are where systems of that kind may stand.
func (c *Catalog) stages(kind string) []core.Stage {
	if k, ok := c.kinds[kind]; ok {
		return k.Stages()
	}
	if kind == core.KindAMQP {
		return dormantStages()
	}
	return nil
}

func (c *Catalog) kindNames() []string {
	var names []string
	for n := range c.kinds {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// checkModule holds the module of a WASM system in place.
func (c *Catalog) checkModule(x *tx, s, _ *core.System) error {
	if s.Kind != core.KindWASM {
		return nil
	}
	set, err := core.DecodeSettings[core.WASMSettings](*s)
	if err != nil {
		return err
	}
	m, err := x.get(c.Modules.key(set.Module))
	if err != nil {
		return err
	}
	if m.Value == nil {
		return core.Errorf(core.Invalid, "module %q: no such module has been uploaded", set.Module)
	}
	x.put(kids+set.Module, present) // a deletion that did not see us must fail
	if !s.FailsOpen() {
		return nil
	}
	for f, err := range c.Filters.Under(x.ctx, s.ID) {
		if err != nil {
			return err
		}
		if err := checkPolicy(*s, f.Stage); err != nil {
			return err
		}
	}
	return nil
}

// checkPolicy keeps what decides about callers from being left out when it
// fails. The road does so too, should two writers miss one another.
func checkPolicy(sys core.System, stage core.Stage) error {
	if sys.FailsOpen() && (stage == core.OnAuthenticate || stage == core.OnAuthorize) {
		return core.Errorf(core.Invalid, "failurePolicy open: calls would pass without %s when it fails, and it stands at the stage %s: use closed", sys.Triplet(), stage)
	}
	return nil
}

func (c *Catalog) filterRules() rules[core.Filter] {
	return rules[core.Filter]{
		name: "filter", noun: "API filter", prefix: core.FilterPrefix,
		id:     func(f *core.Filter) *string { return &f.ID },
		meta:   func(f *core.Filter) *core.Meta { return &f.Meta },
		parent: func(f core.Filter) string { return f.System },
		family: "system",
		prepare: func(_ context.Context, f *core.Filter) error {
			if f.Stage == "" {
				f.Stage = core.OnDispatch
				if !f.ByURL() {
					f.Stage = core.OnResponse
				}
			}
			return f.Validate()
		},
		check: c.checkFilter,
	}
}

// checkFilter judges a filter against its system.
func (c *Catalog) checkFilter(x *tx, f, _ *core.Filter) error {
	e, err := x.get(c.Systems.key(f.System))
	if err != nil {
		return err
	}
	if e.Value == nil {
		return core.Errorf(core.Invalid, "externalSystem: there is no external service or endpoint %q", f.System)
	}
	sys, err := c.Systems.decode(e)
	if err != nil {
		return err
	}
	if err := c.checkStage(sys, f); err != nil {
		return err
	}
	if !f.ByURL() {
		return nil
	}
	if err := checkScope(sys, f.Scope); err != nil {
		return err
	}
	if sys.IsEndpoint() {
		_, err = pattern.CompileTail(f.URLPattern)
	} else {
		_, err = pattern.Compile(f.URLPattern)
	}
	return err
}

func (c *Catalog) checkStage(sys core.System, f *core.Filter) error {
	if !f.ByURL() && sys.IsEndpoint() {
		return core.Errorf(core.Invalid, "responseContentType: only external services post-process responses; %s is an external endpoint", sys.ID)
	}
	if !slices.Contains(c.stages(sys.Kind), f.Stage) {
		return core.Errorf(core.Invalid, "stage %q: a system of kind %s cannot stand there", f.Stage, sys.Kind)
	}
	return checkPolicy(sys, f.Stage)
}

// checkScope holds ruling 8: services extend API, endpoints the three EXT_
// scopes, modules any.
func checkScope(sys core.System, scope core.Scope) error {
	switch {
	case sys.Kind == core.KindWASM:
		return nil
	case sys.IsEndpoint() && scope == core.ScopeAPI:
		return core.Errorf(core.Invalid, "urlScope API is for external services; an external endpoint takes EXT_API, EXT_UI_PROVIDER or EXT_UI_TENANT")
	case !sys.IsEndpoint() && scope != core.ScopeAPI:
		return core.Errorf(core.Invalid, "urlScope %s is for external endpoints; an external service takes API", scope)
	}
	return nil
}

func (c *Catalog) tokenRules() rules[core.Token] {
	return rules[core.Token]{
		name: "token", noun: "token", prefix: core.TokenPrefix,
		id:   func(k *core.Token) *string { return &k.ID },
		meta: func(k *core.Token) *core.Meta { return &k.Meta },
		parent: func(k core.Token) string {
			if k.Type == core.TokenExtension {
				return k.System
			}
			return k.UserID
		},
		adopts: func(k core.Token) string {
			if k.Type == core.TokenExtension {
				return "system"
			}
			return "user"
		},
		prepare: func(_ context.Context, k *core.Token) error {
			if k.Name == "" || len(k.Name) > 255 {
				return core.Errorf(core.Invalid, "name: a token needs a name of 1 to 255 bytes")
			}
			return nil
		},
		check: func(x *tx, k, old *core.Token) error {
			if old != nil || k.Type != core.TokenExtension {
				return nil
			}
			e, err := x.get(c.Systems.key(k.System))
			if err != nil {
				return err
			}
			if e.Value == nil || !strings.HasPrefix(k.System, core.ServicePrefix) {
				return core.Errorf(core.Invalid, "extensionId: there is no external service %q", k.System)
			}
			return nil
		},
	}
}
