package pipeline

import (
	"time"

	"github.com/annex-gateway/annex/core/internal/coding"
)

// askPlain makes the request ask for no coding of the answer that cannot be
// undone here, if there is somebody who might look at the answer.
func (c *call) askPlain() {
	if c.plain || c.msg.Request.Upgrade != "" || len(c.pinned) == 0 && !c.view.Responds() {
		return
	}
	c.plain = true
	c.msg.Request.Header = coding.Plain(c.msg.Request.Header)
}

// decode undoes the coding of the answer, for whoever looks at it next.
func (c *call) decode() error {
	if c.msg.Response.Header.Peek("Content-Encoding") == nil {
		return nil
	}
	c.lately = time.Time{}
	r, err := coding.Decoded(*c.msg.Response, 0)
	if err != nil {
		return err
	}
	c.msg.Response = &r
	return nil
}
