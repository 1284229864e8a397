// Package wire gives the form of an API call on the messaging bus: the JSON
// that the gateway sends to an external service over MQTT, and the JSON that
// the service sends back.
//
// The forms are those that existing clients of the vendor's product read and
// write. Encoding is strict: it writes exactly one form. Decoding is lenient
// where real clients differ and bounded everywhere.
//
// The package imports little of the standard library and nothing else, so
// that a WASM guest can use it too.
package wire
