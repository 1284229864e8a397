module annex.test/peers/httpwasm

go 1.26.2

require github.com/http-wasm/http-wasm-host-go v0.7.0
