// Command proxy is a guest of the proxy-wasm border that does what the header
// fields x-test and x-answer of a call say.
package main

func main() {}
