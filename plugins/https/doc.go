// Package https reaches external endpoints: it sends a call on to the HTTPS
// server of a registration and gives back what that server answers, streaming
// both ways.
//
// What the final .* of the filter's pattern matched is appended to the root
// URL as it was sent; the query is passed byte for byte. The caller's own
// credentials and everything that would speak for the gateway are removed from
// the request; forwarding fields and the gateway's signed word on who is
// calling are put in. Redirects, content codings and trailers pass untouched,
// and a WebSocket becomes a tunnel.
//
// The time limit of a call ends with the header of the answer; from there on
// an idle limit holds, and closing the body ends the exchange. Certificates
// are checked against the given trust only, and addresses against the given
// policy at the moment of dialling.
package https
