package service_test

import (
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
