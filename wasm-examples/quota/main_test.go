package main

import (
	"testing"

	"github.com/annex-gateway/annex/sdk"
)

func TestQuota(t *testing.T) {
	state := map[string][]byte{}
	call := func(c sdk.Caller) *sdk.Trial {
		trial := &sdk.Trial{Config: []byte("2"), Surroundings: sdk.Surroundings{Stage: sdk.AtAuthorize, Caller: c, State: state}}
		trial.Run(quota)
		return trial
	}
	ann := sdk.Caller{User: "ann", Org: "acme", OrgID: "urn:vcloud:org:1"}
	for i := range 2 {
		if call(ann).Answered {
			t.Fatalf("call %d is refused", i+1)
		}
	}
	third := call(ann)
	if !third.Answered || third.Status != 403 || string(third.ResponseBody) != "acme has used its 2 calls\n" || third.Metrics["refused"] != 1 {
		t.Errorf("the third call: %+v", third)
	}
	if call(sdk.Caller{User: "bob", Org: "other", OrgID: "urn:vcloud:org:2"}).Answered {
		t.Error("another organisation is refused")
	}
	if call(sdk.Caller{User: "administrator", Org: "System", Provider: true}).Answered {
		t.Error("a system administrator is refused")
	}
	if string(state["urn:vcloud:org:1"]) != "3" {
		t.Errorf("the state is %q", state)
	}
}
