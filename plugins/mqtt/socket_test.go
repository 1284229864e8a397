package mqtt

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestPacketsThatComeTogetherGoInOneMessage looks at the messages that a
// client gets, in which packets may lie as they like.
func TestPacketsThatComeTogetherGoInOneMessage(t *testing.T) {
	large := strings.Repeat("l", heldMost)
	var failed error
	write := func(s *socket, more bool, texts ...string) {
		s.more.Store(more)
		for _, text := range texts {
			if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
				failed = err
			}
		}
	}
	for name, c := range map[string]struct {
		do   func(*socket)
		want []string
	}{
		"one after the other":          {func(s *socket) { write(s, false, "a", "b") }, []string{"a", "b"}},
		"up to the last":               {func(s *socket) { write(s, true, "a", "b"); write(s, false, "c") }, []string{"abc"}},
		"the last is never written":    {func(s *socket) { write(s, true, "a", "b"); failed = s.flush() }, []string{"ab"}},
		"a large one takes no part":    {func(s *socket) { write(s, true, "a", large); write(s, false, "b") }, []string{"a", large, "b"}},
		"no more than a message holds": {func(s *socket) { write(s, true, large[1:], "a", "b"); write(s, false, "c") }, []string{large[1:] + "a", "b", "c"}},
		"nothing waits":                {func(s *socket) { failed = s.flush(); write(s, false, "a") }, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			failed = nil
			written := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(written)
				ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
				if err != nil {
					failed = err
					return
				}
				c.do(&socket{ws: ws, writeTimeout: time.Minute})
				_ = ws.Close()
			}))
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ws, _, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for {
				_, b, err := ws.ReadMessage()
				if err != nil {
					break
				}
				got = append(got, string(b))
			}
			<-written
			if !slices.Equal(got, c.want) || failed != nil {
				t.Errorf("got %d messages, %.40q, %v", len(got), got, failed)
			}
		})
	}
}
