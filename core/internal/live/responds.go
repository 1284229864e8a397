package live

import "github.com/annex-gateway/annex/core"

// Responds reports whether an enabled system may look at answers.
func (v *View) Responds() bool { return v.table.Has(core.OnResponse) }

// Logs reports whether an enabled system may be told what became of calls.
func (v *View) Logs() bool { return v.table.Has(core.OnLog) }
