package main

import (
	"errors"
	"log/slog"
	"strings"

	"github.com/annex-gateway/annex/cmd/annex/config"
)

// reloadable are the settings that take effect on SIGHUP.
func reloadable() []string { return []string{"log.level", "trust.files", "trust.system"} }

// reloader reads the configuration again while the gateway runs.
type reloader struct {
	source config.Source
	house  *house
	level  *slog.LevelVar
	loaded *config.Loaded // what is in effect
}

// reload takes over what can be changed in a running gateway. With a mistake
// anywhere nothing changes.
func (r *reloader) reload() {
	next, err := config.Load(r.source)
	if err == nil {
		err = checkFiles(next.Config)
	}
	if err != nil {
		r.house.log.Error("the configuration cannot be used; the gateway goes on with the old one", "err", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	fixed := r.loaded.Differences(next, reloadable()...)
	errs := []error{r.house.trust.load(next.Trust, r.house.ca)}
	for _, d := range r.house.doors {
		if d.certificates != nil {
			errs = append(errs, d.certificates.load())
		}
	}
	if err := errors.Join(errs...); err != nil {
		r.house.log.Error("the configuration was not taken over whole", "err", err)
		return
	}
	r.level.Set(next.Log.Level)
	r.loaded.Log.Level, r.loaded.Trust = next.Log.Level, next.Trust
	r.house.log.Info("certificates, trusted authorities and log level were read again")
	if len(fixed) > 0 {
		r.house.log.Warn("these settings have changed and take effect at the next start", "settings", fixed)
	}
}
