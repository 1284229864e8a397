// Command proxy is a proxy-wasm guest that writes its name behind those in the
// request's X-Order and into the answer.
package main

func main() {}
