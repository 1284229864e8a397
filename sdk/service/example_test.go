package service_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/annex-gateway/annex/sdk/service"
)

// A service that tells the time to whoever asks.
func ExampleRun() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/org/{org}/currentTime", func(w http.ResponseWriter, r *http.Request) {
		caller, _ := service.CallerFrom(r.Context())
		fmt.Fprintf(w, "It is %s, %s.\n", time.Now().Format(time.Kitchen), caller.User)
	})
	err := service.Run(ctx, service.Config{
		URL:    "wss://localhost:8443/messaging/mqtt",
		Vendor: "acme", Name: "clock", Version: "1.0.0",
		Token: os.Getenv("EXTENSION_TOKEN"),
	}, mux)
	if err != nil {
		log.Print(err)
	}
}

// A service that lets most calls pass to the API behind the gateway, with a
// field of its own, and answers some itself.
func ExampleForward() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			http.Error(w, "nothing is deleted on Sundays", http.StatusConflict)
			return
		}
		r.Header.Set("X-Seen-By", "acme")
		if err := service.Forward(w, r); err != nil {
			log.Print(err)
		}
	})
	_ = handler // goes to service.Run
}

// A service with a filter for a content type: it sees the answers of others,
// and what it writes takes their place.
func ExampleAnswerFrom() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := service.AnswerFrom(r.Context())
		if !ok {
			http.Error(w, "only answers come here", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", answer.Header.Get("Content-Type"))
		w.WriteHeader(answer.Status)
		_, _ = w.Write(bytes.ReplaceAll(answer.Body, []byte("colour"), []byte("color")))
	})
	_ = handler // goes to service.Run
}
