// Command annex is a guest that uses the gateway's own functions, as the
// header field x-test says.
package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/annex-gateway/annex/sdk"
)

func init() { sdk.Handle(handle) }

func handle(c *sdk.Call) {
	say := func(args ...any) { c.Answer(200, "text/plain", fmt.Sprintln(args...)) }
	switch c.Header("X-Test") {
	case "caller":
		w := c.Caller()
		say(c.Stage(), w.User, w.UserID, w.Org, w.OrgID, w.Provider, c.HasRight("Read"), c.HasRight("Write"), strings.Join(c.Rights(), "|"))
	case "claim":
		c.Claim(c.Header("X-User"), "acme")
	case "state":
		s := c.State()
		_, none, _ := s.Get("k")
		first, err1 := s.PutIf("k", []byte("one"), none)
		_, err2 := s.PutIf("k", []byte("two"), none)
		second, err3 := s.PutIf("k", []byte(strings.Repeat("x", 3000)), first)
		v, at, _ := s.Get("k")
		err4 := s.DeleteIf("k", first)
		err5 := s.Delete("k")
		_, gone, _ := s.Get("k")
		say(none, err1, err2, err3, len(v), at == second, err4, err5, gone)
	case "put":
		say(c.State().Put(c.Header("X-Key"), c.Body()))
	case "count":
		n := 0
		for {
			b, rev, err := c.State().Get("n")
			n, _ = strconv.Atoi(string(b))
			if err != nil {
				say(err)
				return
			}
			if _, err = c.State().PutIf("n", fmt.Append(nil, n+1), rev); !errors.Is(err, sdk.ErrStale) {
				say(n+1, err)
				return
			}
		}
	case "fetch":
		a, err := c.Fetch(sdk.Request{
			Method: "PUT", URL: c.Header("X-URL"), Body: []byte("question"), Timeout: 2000,
			Header: [][2]string{{"X-From", "guest"}, {"Content-Length", "99"}, {"X-Annex-Identity", "forged"}},
		})
		if err != nil {
			say(err)
			return
		}
		say(a.Status, a.Header("X-There"), a.Header("X-None"), string(a.Body()))
	case "metrics":
		c.Count("calls", 2)
		c.Gauge("level", -4)
		c.Record("size", 10)
	}
}

func main() {}
