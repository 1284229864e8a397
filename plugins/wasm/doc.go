// Package wasm runs WebAssembly modules as external systems: a guest sees the
// request of a call, may change or answer it, and later sees the response of
// the same call.
//
// Modules speak one of several borders (ABIs); the http-wasm border
// (http_handler) is served with all of its nineteen functions and all of its
// features. A border is one implementation of the interface in border.go and
// knows nothing of compiling, pooling, limits or the road.
//
// # Stages
//
// At arrival and dispatch a guest stands around the call: handle_request sees
// the request, handle_response the answer that somebody gave. At authorize an
// answer of the guest, whatever its status, is a refusal, and nothing that it
// changes is kept. At response and log both functions run one after the other
// on a call that is answered already; what is changed in the request is
// dropped, and at log everything is. http-wasm has no way of naming a caller,
// so the stage authenticate is not offered.
//
// # The sandbox
//
// What a module declares is bounded by package inspect before the compiler
// sees it. A guest has no files, no sockets, no environment and no arguments;
// it has clocks, random numbers, a log, and sleeps that end with its time.
// Its memory is capped, its time is capped, and after a trap or a deadline it
// is thrown away.
//
// The time limit counts the guest and what it asks of the host, not the
// system behind it and not the wait for a body. Package meter rewrites every
// module so that it comes back to the host after every fraction of a
// millisecond, whatever it does; the host then looks at the clock and lets it
// go on or ends it. No guest runs that is not metered.
//
// Guests are pooled and see one call after another: what a guest keeps in its
// memory it can show to the next caller. A module that must not do so must
// not keep it.
package wasm
