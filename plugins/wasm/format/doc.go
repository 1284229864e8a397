// Package format reads what the binary format of WebAssembly modules is made
// of: numbers, names, lists, and what follows an instruction. What stands in a
// module, and what is to be made of it, is for the packages that use it.
package format
