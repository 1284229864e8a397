package match

import (
	"strings"

	"github.com/annex-gateway/annex/core"
)

// SplitScope tells the scope of a canonical path and which part of the path
// the patterns of that scope match: rest, which is path[prefixLen:]. A path
// below /ext-ui that belongs to no scope gives the scope "": nothing matches.
func SplitScope(path string) (scope core.Scope, tenant, rest string, prefixLen int) {
	if n := below(path, "/ext-api"); n > 0 {
		return core.ScopeExtAPI, "", path[n:], n
	}
	if below(path, "/ext-ui") == 0 {
		return core.ScopeAPI, "", path, 0
	}
	if n := below(path, "/ext-ui/provider"); n > 0 {
		return core.ScopeProvider, "", path[n:], n
	}
	if n := below(path, "/ext-ui/tenant"); n > 0 && n < len(path) {
		name, _, _ := strings.Cut(path[n+1:], "/")
		if name != "" {
			n += 1 + len(name)
			return core.ScopeTenant, name, path[n:], n
		}
	}
	return "", "", "", len(path)
}

// below gives the length of prefix when path is prefix or lies below it, and
// 0 otherwise.
func below(path, prefix string) int {
	if strings.HasPrefix(path, prefix) && (len(path) == len(prefix) || path[len(prefix)] == '/') {
		return len(prefix)
	}
	return 0
}
