// Package wasm runs WebAssembly modules as external systems: a guest sees the
// request of a call, may change or answer it, and later sees the response of
// the same call.
//
// Modules speak one of three borders (ABIs), and their imports and exports
// tell which: http-wasm (http_handler) with all of its nineteen functions and
// all of its features; annex, which is http-wasm with the gateway's own
// functions; and proxy-wasm 0.1.0, 0.2.0, 0.2.1 and 0.2.100. A border is one
// implementation of the interface in border.go and knows nothing of compiling,
// limits or the road.
//
// # Stages
//
// At arrival and dispatch a guest stands around the call: handle_request sees
// the request, handle_response the answer that somebody gave. At authorize an
// answer of the guest, whatever its status, is a refusal, and nothing that it
// changes is kept. At response and log both functions run one after the other
// on a call that is answered already; what is changed in the request is
// dropped, and at log everything is. At authenticate a guest may answer, which
// refuses the call; a guest of the annex border may also name the caller.
//
// # Guests that carry many calls
//
// A guest of the other borders runs one call at a time, from the request to
// the answer. One of the proxy-wasm border carries many: each part of a call,
// each tick and each answer to a callout takes its turn, and a call that the
// guest makes wait holds up nobody else. There are as many such guests as
// processors at most, started as they are needed. When one of them ends, all
// calls that it carries fail, and the next one starts another.
//
// Bodies flow through such a guest piece by piece, if it wants to see them at
// all, and are gathered only for as long as it holds them back.
//
// # The sandbox
//
// What a module declares is bounded by package inspect before the compiler
// sees it. A guest has no files, no sockets, no arguments and, unless the
// registration has some, no environment;
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
// For proxy-wasm each callback has the whole limit, since a call may last as
// long as its bodies flow.
//
// Guests see one call after another: what a guest keeps in its
// memory it can show to the next caller. A module that must not do so must
// not keep it.
package wasm
