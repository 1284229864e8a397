// Command heads is a proxy-wasm guest that looks at headers alone, and puts a
// field on answers.
package main

func main() {}
