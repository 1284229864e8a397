package cloudapi

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

// serviceForm is an external service in JSON. Kind and WASM are members of
// ours; services reached over MQTT are shown without them, just as clients of
// the vendor's product know them.
type serviceForm struct {
	Name                 string    `json:"name"`
	ID                   string    `json:"id"`
	Version              string    `json:"version"`
	Vendor               string    `json:"vendor"`
	Priority             *int      `json:"priority"`
	Enabled              *flag     `json:"enabled"`
	AuthorizationEnabled *flag     `json:"authorizationEnabled"`
	Description          *string   `json:"description"`
	MQTTTopics           *topics   `json:"mqttTopics"`
	Kind                 string    `json:"kind,omitzero"`
	WASM                 *wasmForm `json:"wasm,omitzero"`
	Status               *status   `json:"status,omitzero"` // shown, never set
}

// topics are those of a service reached over MQTT; they follow from its name.
type topics struct {
	Monitor string `json:"monitor"`
	Respond string `json:"respond"`
}

// wasmForm is the settings of a module in JSON. A limit that is left out or 0
// is the default.
type wasmForm struct {
	Module      string         `json:"module"`
	Config      jsontext.Value `json:"config,omitzero"`
	MemoryBytes int64          `json:"memoryBytes,omitzero"`
	DeadlineMS  int64          `json:"deadlineMs,omitzero"`
	StartMS     int64          `json:"startMs,omitzero"`
	Concurrency int            `json:"concurrency,omitzero"`
	LogLines    int            `json:"logLinesPerSecond,omitzero"`
	BodyBytes   int64          `json:"bodyBytes,omitzero"`
	StateBytes  int64          `json:"stateBytes,omitzero"`
	Rewrite     bool           `json:"rewrite"`

	Border        string            `json:"border,omitzero"`
	Clusters      map[string]string `json:"clusters,omitzero"`
	VMConfig      jsontext.Value    `json:"vmConfig,omitzero"`
	RootID        string            `json:"rootId,omitzero"`
	VMID          string            `json:"vmId,omitzero"`
	Properties    map[string]string `json:"properties,omitzero"`
	Environment   map[string]string `json:"environment,omitzero"`
	FailurePolicy string            `json:"failurePolicy,omitzero"`
}

// flag is a boolean that some clients send as a string.
type flag bool

// UnmarshalJSON reads true, false, "true" and "false".
func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `true`, `"true"`:
		*f = true
	case `false`, `"false"`:
		*f = false
	default:
		return core.Errorf(core.Invalid, "true or false is needed")
	}
	return nil
}

func (a *cloud) services() resource[core.System, serviceForm] {
	return resource[core.System, serviceForm]{
		path: servicesPath, noun: "external service", table: a.Catalog.Systems,
		id:    func(s core.System) string { return s.ID },
		meta:  func(s core.System) core.Meta { return s.Meta },
		shows: func(_ actor, s core.System) bool { return s.Kind == core.KindMQTT || s.Kind == core.KindWASM },
		attributes: withAttributes(systemAttributes(), attributes[core.System]{
			"authorizationEnabled": truth(func(s core.System) bool { return s.AuthorizationEnabled }),
			"kind":                 text(func(s core.System) string { return s.Kind }),
			"wasm.module":          text(func(s core.System) string { return wasmSettings(s).Module }),
		}),
		encode: encodeService,
		now:    a.showStatus,
		links:  serviceLinks,
		build:  newService,
		merge:  applyService,
	}
}

func newService(_ actor, in serviceForm) (core.System, error) {
	s := core.System{
		Kind: core.KindMQTT, Vendor: in.Vendor, Name: in.Name, Version: in.Version, Priority: core.DefaultPriority,
	}
	switch in.Kind {
	case "", core.KindMQTT:
	case core.KindWASM:
		s.Kind = core.KindWASM
		if in.WASM == nil {
			return s, core.Errorf(core.Invalid, "wasm: a service of kind wasm needs this member, with the id of an uploaded module: {\"module\":\"sha256:…\"}")
		}
	default:
		return s, core.Errorf(core.Invalid, "kind %q: mqtt or wasm is needed; endpoints are registered at %s, services of kind amqp through the XML API", in.Kind, endpointsPath)
	}
	return applyService(in, s)
}

// applyService puts what a client may decide into s. What is left out stays as
// it is, but for the description, which clients leave out when it is empty.
func applyService(in serviceForm, s core.System) (core.System, error) {
	s.Enabled = bool(or(in.Enabled, flag(s.Enabled)))
	s.AuthorizationEnabled = bool(or(in.AuthorizationEnabled, flag(s.AuthorizationEnabled)))
	s.Priority = or(in.Priority, s.Priority)
	s.Description = or(in.Description, "")
	switch {
	case in.WASM == nil:
	case s.Kind != core.KindWASM:
		return s, core.Errorf(core.Invalid, "wasm: %s is of kind %s; the kind of a service cannot be changed", s.Triplet(), s.Kind)
	default:
		s.Settings = core.EncodeSettings(core.WASMSettings{
			Module: in.WASM.Module, Config: []byte(in.WASM.Config), MemoryBytes: in.WASM.MemoryBytes,
			DeadlineMS: in.WASM.DeadlineMS, StartMS: in.WASM.StartMS, Concurrency: in.WASM.Concurrency, LogLines: in.WASM.LogLines, Rewrite: in.WASM.Rewrite,
			BodyBytes: in.WASM.BodyBytes, StateBytes: in.WASM.StateBytes,
			Border: in.WASM.Border, Clusters: in.WASM.Clusters, VMConfig: []byte(in.WASM.VMConfig), RootID: in.WASM.RootID,
			VMID: in.WASM.VMID, Properties: in.WASM.Properties, Environment: in.WASM.Environment,
			FailurePolicy: in.WASM.FailurePolicy,
		})
	}
	return s, nil
}

func wasmSettings(s core.System) core.WASMSettings {
	if s.Kind != core.KindWASM {
		return core.WASMSettings{}
	}
	set, _ := core.DecodeSettings[core.WASMSettings](s) // what is stored was checked
	return set
}

func encodeService(s core.System) serviceForm {
	enabled, authorized := flag(s.Enabled), flag(s.AuthorizationEnabled)
	out := serviceForm{
		Name: s.Name, ID: s.ID, Version: s.Version, Vendor: s.Vendor, Priority: &s.Priority,
		Enabled: &enabled, AuthorizationEnabled: &authorized, Description: textOrNull(s.Description),
	}
	if s.Kind != core.KindWASM {
		topic := "topic/extension/" + s.Triplet()
		out.MQTTTopics = &topics{Monitor: topic + "/ext", Respond: topic + "/vcd"}
		return out
	}
	set := wasmSettings(s)
	out.Kind = s.Kind
	out.WASM = &wasmForm{
		Module: set.Module, MemoryBytes: set.MemoryBytes,
		DeadlineMS: set.DeadlineMS, StartMS: set.StartMS, Concurrency: set.Concurrency, LogLines: set.LogLines, Rewrite: set.Rewrite,
		BodyBytes: set.BodyBytes, StateBytes: set.StateBytes,
		Border: set.Border, Clusters: set.Clusters, VMConfig: jsontext.Value(set.VMConfig), RootID: set.RootID,
		VMID: set.VMID, Properties: set.Properties, Environment: set.Environment,
		FailurePolicy: set.FailurePolicy,
	}
	if string(set.Config) != "null" {
		out.WASM.Config = jsontext.Value(set.Config)
	}
	return out
}

const (
	queryTypes = "application/vnd.vmware.vcloud.query.records+xml application/vnd.vmware.vcloud.query.idrecords+xml " +
		"application/vnd.vmware.vcloud.query.records+json application/vnd.vmware.vcloud.query.idrecords+json " +
		"application/vnd.vmware.vcloud.query.references+xml application/vnd.vmware.vcloud.query.references+json"
	rightTypes = "application/vnd.vmware.admin.right+xml application/vnd.vmware.admin.right+json"
)

// serviceLinks says in a Link header where the XML API has what belongs to the
// service. Clients cut the service's uuid out of the first link, so each goes
// on behind it.
func serviceLinks(c echo.Context, s core.System) {
	var links []string
	href := api.NewHrefs(api.BaseURL(c)).To("/api/admin/extension/service", s.UUID())
	for _, l := range []struct{ name, rel, types string }{
		{"links", "down", queryTypes},
		{"resourceclasses", "down", queryTypes},
		{"apidefinitions", "down", queryTypes},
		{"apifilters", "down", queryTypes},
		{"rights", "add", rightTypes},
	} {
		links = append(links, fmt.Sprintf(`<%s/%s>;rel="%s";type="%s"`, href, l.name, l.rel, l.types))
	}
	c.Response().Header().Set("Link", strings.Join(links, ", "))
}
