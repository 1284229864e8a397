// Command work is a guest that does what guests of gateways do, for measuring
// what metering costs.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func main() { println(sink) }

var (
	document = []byte(`{"id":"urn:vcloud:org:1","name":"acme","roles":["admin","user"],"limits":{"cpu":12,"memory":4096},"tags":{"a":"b","c":"d"}}`)
	header   = "text/html;q=0.8, application/json;version=39.0, application/*+json;version=39.0, */*;q=0.1"
	pattern  = regexp.MustCompile(`^/api/org/([0-9a-f-]{36})/(vdcs?|catalogs?)(/.*)?$`)
	block    = make([]byte, 16<<10)
	sink     int
)

// JSON decodes and encodes a document.
//
//go:wasmexport json
func JSON() {
	var v map[string]any
	if err := json.Unmarshal(document, &v); err != nil {
		panic(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	sink += len(b)
}

// Headers splits and joins header fields.
//
//go:wasmexport headers
func Headers() {
	h := http.Header{}
	for part := range strings.SplitSeq(header, ",") {
		media, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		h.Add("x-"+strings.ToLower(media), params)
	}
	sink += len(h)
}

// Match runs a regular expression.
//
//go:wasmexport match
func Match() {
	sink += len(pattern.FindStringSubmatch("/api/org/3f2504e0-4f89-11d3-9a0c-0305e82c3301/vdcs/all"))
}

// Hash hashes sixteen KiB.
//
//go:wasmexport hash
func Hash() {
	sum := sha256.Sum256(block)
	sink += int(sum[0])
}

// Sort sorts some numbers.
//
//go:wasmexport sort
func Sort() {
	list := make([]int, 500)
	for i := range list {
		list[i] = (i * 7919) % 1000
	}
	slices.Sort(list)
	sink += list[0]
}
