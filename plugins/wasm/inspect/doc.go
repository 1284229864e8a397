// Package inspect reads the structure of a WebAssembly module under strict
// limits, before a compiler sees it.
//
// A compiler trusts what a module declares: twenty bytes that declare four
// thousand million parameters end the process, and deeply nested blocks keep
// it busy for minutes. This package decodes every section and every
// instruction, counts, and refuses what is too much; it allocates no more
// than a small multiple of the module's own size. It does not check types or
// indices: the compiler's validation does.
package inspect
