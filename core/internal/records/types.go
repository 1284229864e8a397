package records

import (
	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/vxml"
)

// adminMedia starts the media types of what administrators register.
const adminMedia = "application/vnd.vmware.admin."

// AdminServices are external services as administrators see them.
func AdminServices() Of[core.System] {
	return typeOf("adminService", adminMedia+"service", serviceID, serviceName,
		text("name", serviceName),
		text("namespace", func(s core.System) string { return s.Namespace }),
		text("vendor", func(s core.System) string { return s.Vendor }),
		truth("enabled", func(s core.System) bool { return s.Enabled }),
		truth("isAuthorizationEnabled", func(s core.System) bool { return s.AuthorizationEnabled }),
		number("priority", func(s core.System) int { return s.Priority }),
		text("exchange", func(s core.System) string { return amqp(s).Exchange }),
		text("routingKey", func(s core.System) string { return amqp(s).RoutingKey }),
	)
}

// Services are external services as every user sees them.
func Services() Of[core.System] {
	return typeOf("service", "application/vnd.vmware.vcloud.service", serviceID, serviceName,
		text("name", serviceName),
		text("namespace", func(s core.System) string { return s.Namespace }),
		text("vendor", func(s core.System) string { return s.Vendor }),
	)
}

func serviceID(s core.System) string   { return ServiceID(s.ID) }
func serviceName(s core.System) string { return s.Name }

// amqp is where a service of the older flavour listens; zero for others.
func amqp(s core.System) core.AMQPSettings {
	if s.Kind != core.KindAMQP {
		return core.AMQPSettings{}
	}
	set, _ := core.DecodeSettings[core.AMQPSettings](s) // what is stored was checked
	return set
}

// Filters are the API filters of services.
func Filters() Of[core.Filter] {
	return typeOf("apiFilter", adminMedia+"apiFilter", func(f core.Filter) string { return f.ID }, nil,
		text("urlPattern", func(f core.Filter) string { return f.URLPattern }),
		text("responseContentType", func(f core.Filter) string { return f.ResponseContentType }),
		urn("service", func(f core.Filter) string { return ServiceID(f.System) }),
	)
}

// Links are the links that services show in native representations.
func Links() Of[core.Link] {
	return typeOf("serviceLink", adminMedia+"serviceLink", func(l core.Link) string { return l.ID }, nil,
		text("rel", func(l core.Link) string { return l.Rel }),
		text("linkHref", func(l core.Link) string { return l.Href }),
		text("mimeType", func(l core.Link) string { return l.MimeType }),
		text("resourceType", func(l core.Link) string { return l.ResourceType }),
		text("resourceId", func(l core.Link) string { return l.ResourceID }),
		urn("service", func(l core.Link) string { return ServiceID(l.System) }),
	)
}

// Definition is an API definition and its service.
type Definition struct {
	core.APIDefinition
	Service core.System
	Base    string // of the gateway, which stands for {baseUri}
}

// AdminDefinitions are API definitions as administrators see them.
func AdminDefinitions() Of[Definition] {
	return definitions("adminApiDefinition", adminMedia+"apiDefinition")
}

// Definitions are API definitions as every user sees them.
func Definitions() Of[Definition] {
	return definitions("apiDefinition", "application/vnd.vmware.vcloud.apidefinition")
}

func definitions(typ, media string) Of[Definition] {
	return typeOf(typ, media,
		func(d Definition) string { return d.ID }, func(d Definition) string { return d.Name },
		text("name", func(d Definition) string { return d.Name }),
		text("entryPoint", func(d Definition) string { return vxml.ExpandBase(d.EntryPoint, d.Base) }),
		text("namespace", func(d Definition) string { return d.Namespace }),
		text("apiVendor", func(d Definition) string { return d.APIVendor }),
		urn("service", func(d Definition) string { return ServiceID(d.Service.ID) }),
		text("serviceName", func(d Definition) string { return d.Service.Name }),
		text("serviceNamespace", func(d Definition) string { return d.Service.Namespace }),
		text("serviceVendor", func(d Definition) string { return d.Service.Vendor }),
	)
}

// File is a file descriptor, the API that it describes, and its service.
type File struct {
	core.FileDescriptor
	API Definition
}

// AdminFiles are file descriptors as administrators see them.
func AdminFiles() Of[File] { return files("adminFileDescriptor", adminMedia+"fileDescriptor") }

// Files are file descriptors as every user sees them.
func Files() Of[File] {
	return files("fileDescriptor", "application/vnd.vmware.vcloud.filedescriptor")
}

func files(typ, media string) Of[File] {
	return typeOf(typ, media,
		func(f File) string { return f.ID }, func(f File) string { return f.Name },
		text("name", func(f File) string { return f.Name }),
		text("fileUrl", func(f File) string { return vxml.ExpandBase(f.Href, f.API.Base) }),
		text("fileMimeType", func(f File) string { return f.MimeType }),
		urn("apiDefinition", func(f File) string { return f.API.ID }),
		text("apiName", func(f File) string { return f.API.Name }),
		text("apiNamespace", func(f File) string { return f.API.Namespace }),
		text("apiVendor", func(f File) string { return f.API.APIVendor }),
		urn("service", func(f File) string { return ServiceID(f.API.Service.ID) }),
		text("serviceName", func(f File) string { return f.API.Service.Name }),
		text("serviceNamespace", func(f File) string { return f.API.Service.Namespace }),
		text("serviceVendor", func(f File) string { return f.API.Service.Vendor }),
	)
}
