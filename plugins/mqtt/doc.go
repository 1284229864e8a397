// Package mqtt reaches external services over MQTT: it is the broker that they
// connect to, and the request-and-reply exchange on top of it.
//
// A service connects by WebSocket, logs in as vendor/name/version with one of
// its tokens, subscribes to its monitor topic and answers on its respond
// topic. Nothing else is possible on this broker: no other topic, no
// wildcard, no shared or retained message, no Will, no stored session.
//
// Requests do not pass through the broker's own distribution. Each goes to
// exactly one of a service's sessions, through a bounded queue of that
// session, so that a slow service delays nobody and a lost one is noticed.
package mqtt
