package main

import (
	"testing"

	"github.com/annex-gateway/annex/sdk"
)

func TestStamp(t *testing.T) {
	for _, tc := range []struct {
		name, config, want string
	}{
		{"an answer is stamped", "", "annex"},
		{"the stamp is configured", "seen", "seen"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			trial := sdk.Trial{Config: []byte(tc.config), Next: func(t *sdk.Trial) { t.ResponseBody = []byte("theirs") }}
			trial.Run(stamp)
			if got := trial.ResponseHeader.Get("X-Stamp"); got != tc.want || trial.Answered || string(trial.ResponseBody) != "theirs" {
				t.Errorf("got X-Stamp %q, answered %v, body %q", got, trial.Answered, trial.ResponseBody)
			}
		})
	}
}
