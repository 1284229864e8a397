// Command quota is an extension that lets each organisation make so many
// calls and no more. It uses what Annex has beyond the http-wasm border.
package main

import (
	"errors"
	"strconv"

	"github.com/annex-gateway/annex/sdk"
)

func init() {
	sdk.Handle(quota)
}

func quota(c *sdk.Call) {
	who := c.Caller()
	if who.Provider {
		return
	}
	most, err := strconv.Atoi(string(c.Config()))
	if err != nil {
		most = 100
	}
	used, err := use(c.State(), who.OrgID)
	switch {
	case err != nil:
		c.Error("the quota of " + who.Org + " cannot be counted: " + err.Error())
		c.Answer(503, "text/plain", "try again\n")
	case used > most:
		c.Count("refused", 1)
		c.Answer(403, "text/plain", who.Org+" has used its "+strconv.Itoa(most)+" calls\n")
	}
}

// use counts one more call. Others count at the same time: who finds the
// number changed looks again.
func use(s sdk.State, org string) (int, error) {
	for {
		b, revision, err := s.Get(org)
		if err != nil {
			return 0, err
		}
		used, _ := strconv.Atoi(string(b))
		used++
		_, err = s.PutIf(org, []byte(strconv.Itoa(used)), revision)
		if !errors.Is(err, sdk.ErrStale) {
			return used, err
		}
	}
}

func main() {}
