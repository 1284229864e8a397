package vxml

import (
	"embed"
	"strings"
)

// SchemaPath is where the schema files are served, whatever the version that
// a client speaks.
const SchemaPath = "/api/v1.5/schema/"

//go:embed schema/*.xsd
var schemas embed.FS

// Schema returns the schema file that is served at path: master.xsd for the
// vcloud namespace, vmwextensions.xsd for the extension namespace, and
// versions.xsd. Everything written by this package's writers is valid by them.
func Schema(path string) ([]byte, bool) {
	name, ok := strings.CutPrefix(path, SchemaPath)
	if !ok || strings.Contains(name, "/") {
		return nil, false
	}
	b, err := schemas.ReadFile("schema/" + name)
	return b, err == nil
}
