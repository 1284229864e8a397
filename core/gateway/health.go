package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/annex-gateway/annex/core"
	"github.com/annex-gateway/annex/core/internal/live"
	"github.com/annex-gateway/annex/core/internal/telemetry"
)

// livez says that the process answers.
func (g *Gateway) livez(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// readyz says whether calls should be sent here.
func (g *Gateway) readyz(c echo.Context) error {
	if err := g.ready(); err != nil {
		return c.String(http.StatusServiceUnavailable, core.ErrorMessage(err)+"\n")
	}
	return c.String(http.StatusOK, "ok\n")
}

// Operations is for a listener of the operator's own: health, with
// /readyz?verbose for what is wrong with whom, and metrics.
func (g *Gateway) Operations() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", g.readyzVerbose)
	mux.Handle("GET /metrics", g.telemetry.Metrics())
	return mux
}

// readyzVerbose is readyz; with the query "verbose" every part and every
// enabled system has a line.
func (g *Gateway) readyzVerbose(w http.ResponseWriter, r *http.Request) {
	parts := g.parts()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	err := firstFailure(parts)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	if r.URL.Query().Has("verbose") {
		writeParts(w, append(parts, g.others()...))
		v := g.live.View()
		systems, filters := v.Counts()
		fmt.Fprintf(w, "view of revision %d, changed %s: %d systems, %d filters in force, %d streams\n",
			v.Revision, g.changed.when().UTC().Format("2006-01-02T15:04:05Z"), systems, filters, g.long.len())
	}
	if err != nil {
		fmt.Fprintln(w, telemetry.Clean(core.ErrorMessage(err)))
		return
	}
	fmt.Fprintln(w, "ok")
}

// part is something that is in order or not.
type part struct {
	name string
	err  error
}

func writeParts(w http.ResponseWriter, parts []part) {
	for _, p := range parts {
		if p.err != nil {
			fmt.Fprintf(w, "[-] %s: %s\n", p.name, telemetry.Clean(core.ErrorMessage(p.err)))
			continue
		}
		fmt.Fprintf(w, "[+] %s: ok\n", p.name)
	}
}

// ready tells why the gateway should get no calls, or nil.
func (g *Gateway) ready() error { return firstFailure(g.parts()) }

func firstFailure(parts []part) error {
	for _, p := range parts {
		if p.err != nil {
			return core.WrapError(core.Unavailable, p.err, "%s: %s", p.name, core.ErrorMessage(p.err))
		}
	}
	return nil
}

// parts are what the gateway cannot do without.
func (g *Gateway) parts() []part {
	var stopping error
	if g.stopping.Load() {
		stopping = core.Errorf(core.Unavailable, "stopping")
	}
	parts := []part{{name: "gateway", err: stopping}, {name: "view", err: g.live.Err()}}
	if p, ok := g.opts.Store.(core.Prober); ok {
		parts = append(parts, part{name: "store", err: p.Ready()})
	}
	for _, k := range g.kinds {
		if p, ok := k.(core.Prober); ok {
			parts = append(parts, part{name: "kind " + k.Name(), err: p.Ready()})
		}
	}
	return parts
}

// others are the native API and the enabled systems, by id. One of them in
// trouble does not make the gateway unready: it still serves the rest.
func (g *Gateway) others() []part {
	var parts []part
	g.live.View().Entries(func(e *live.Entry) {
		if e.System.Enabled {
			parts = append(parts, part{name: e.System.ID, err: e.Err()})
		}
	})
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(strings.ToLower(a.name), strings.ToLower(b.name)) })
	return append([]part{{name: "native API", err: g.native.Ready()}}, parts...)
}
