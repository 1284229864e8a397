package wasm

import (
	"strings"

	"github.com/annex-gateway/annex/core"
)

const maxTexts = 64 << 10 // bytes of all properties, and of the environment

// checkTexts judges what a registration names freely.
func checkTexts(w core.WASMSettings) error {
	if len(w.VMID) > 256 {
		return core.Errorf(core.Invalid, "vmId: at most 256 bytes are allowed")
	}
	for member, texts := range map[string]map[string]string{"properties": w.Properties, "environment": w.Environment} {
		total := 0
		for name, value := range texts {
			total += len(name) + len(value)
			if name == "" || strings.ContainsRune(name+value, 0) || member == "environment" && strings.Contains(name, "=") {
				return core.Errorf(core.Invalid, "%s: %q: a name is needed, without = in the environment, and no NUL", member, name)
			}
		}
		if total > maxTexts {
			return core.Errorf(core.Invalid, "%s: %d bytes in all are too many: %d are allowed", member, total, maxTexts)
		}
	}
	return nil
}
