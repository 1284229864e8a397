// Package service runs a Go program as an external service on the gateway's
// messaging bus: an ordinary http.Handler answers the calls that the gateway
// sends it over MQTT.
//
//	err := service.Run(ctx, service.Config{
//		URL:    "wss://gateway:8443/messaging/mqtt",
//		Vendor: "acme", Name: "clock", Version: "1.0.0",
//		Token:  token,
//	}, handler)
//
// The handler learns on whose behalf it is called from [CallerFrom]. If the
// service stands at the response stage, [AnswerFrom] gives the answer that it
// may replace. A handler that does not want to answer passes the call on with
// [Forward].
package service
