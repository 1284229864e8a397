package cloudapi

import (
	"bytes"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/api"
)

// moduleForm is an uploaded WASM module in JSON. Its bytes are never shown.
type moduleForm struct {
	ID      string `json:"id"` // "sha256:<hex>"
	Size    int64  `json:"size"`
	Created string `json:"created"`
}

func (a *cloud) modules() resource[core.Module, moduleForm] {
	return resource[core.Module, moduleForm]{
		path: modulesPath, noun: "WASM module", table: a.Catalog.Modules,
		id:   func(m core.Module) string { return m.Digest },
		meta: func(m core.Module) core.Meta { return m.Meta },
		attributes: attributes[core.Module]{
			"id":      text(func(m core.Module) string { return m.Digest }),
			"size":    number(func(m core.Module) int { return int(m.Size) }),
			"created": text(created),
		},
		encode: encodeModule,
		create: a.uploadModule,
	}
}

func created(m core.Module) string { return m.Created.UTC().Format(time.RFC3339) }

func encodeModule(m core.Module) moduleForm {
	return moduleForm{ID: m.Digest, Size: m.Size, Created: created(m)}
}

// uploadModule takes the bytes of a module. The same bytes again are the same
// module: what is answered is the one that is there.
func (a *cloud) uploadModule(c echo.Context) (m core.Module, out moduleForm, err error) {
	r := c.Request()
	if err := api.RequireType(r.Header, "application/wasm", "application/octet-stream"); err != nil {
		return m, out, err
	}
	body, err := api.ReadBody(c.Response(), r, a.Limits.Module)
	if err != nil {
		return m, out, err
	}
	if !bytes.HasPrefix(body, []byte("\x00asm")) {
		return m, out, core.Errorf(core.Invalid, "body: this is not a WASM module, which begins with the bytes 00 61 73 6d; send the .wasm file as it is, for example with curl --data-binary @module.wasm")
	}
	if m, err = a.Catalog.AddModule(r.Context(), api.Caller(c).UserID, body); err != nil {
		return m, out, err
	}
	return m, encodeModule(m), nil
}
