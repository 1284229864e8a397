# Annex: `make help` lists what there is.

LINT_VERSION := v2.15.0
BIN          := bin
LINT         := $(BIN)/golangci-lint
EXAMPLES     := $(notdir $(patsubst %/main.go,%,$(wildcard wasm-examples/*/main.go)))
MODULE       := cmd/annex/modules/hello.wasm
WASM_BUILD   := GOOS=wasip1 GOARCH=wasm CGO_ENABLED=0 go build -buildmode=c-shared -trimpath -buildvcs=false -ldflags='-s -w'

export GOFLAGS ?= -buildvcs=false

.DEFAULT_GOAL := build

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: build
build: $(MODULE) ## build bin/annex, with the example module inside
	CGO_ENABLED=0 go build -trimpath -o $(BIN)/annex ./cmd/annex

$(MODULE): $(wildcard wasm-examples/hello/*.go sdk/*.go)
	$(WASM_BUILD) -o $@ ./wasm-examples/hello

.PHONY: demo
demo: build ## run a gateway with one extension of each kind, and print calls to try
	./$(BIN)/annex demo

.PHONY: test
test: ## run every test that needs nothing but Go
	CGO_ENABLED=0 go test -shuffle=on -timeout 10m ./...

.PHONY: test-race
test-race: ## the same under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -shuffle=on -timeout 15m ./...

.PHONY: test-long
test-long: ## the tests that take long: kill loops, large property runs
	ANNEX_LONG=1 CGO_ENABLED=0 go test -shuffle=on -timeout 60m ./...

.PHONY: docs
docs: ## play the transcripts, and run the commands of the documents
	CGO_ENABLED=0 go test -timeout 10m ./docs

.PHONY: test-peers
test-peers: build ## programs that others wrote, against a running gateway (installs what they need)
	PEER_ANNEX=$(CURDIR)/$(BIN)/annex .ci/peers/run $(PEERS)

.PHONY: fuzz
fuzz: ## run every fuzz target for a little while
	@for pkg in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $${FUZZTIME:-10s} $$pkg || exit 1; \
	  done; \
	done

.PHONY: bench
bench: build ## measure everything in turns, and print ratio tables (BENCH=-quick: a smoke test)
	go run ./.ci/bench $(BENCH)

.PHONY: examples
examples: ## build the WASM examples into dist/
	@mkdir -p dist
	@for e in $(EXAMPLES); do echo $$e; $(WASM_BUILD) -o dist/$$e.wasm ./wasm-examples/$$e || exit 1; done

.PHONY: check
check: fmt vet lint tidy examples cross test-race ## everything that must be clean before a change lands

.PHONY: fmt
fmt: $(LINT) ## fail if a file is not formatted
	$(LINT) fmt --diff

.PHONY: vet
vet: ## go vet
	go vet ./...

.PHONY: lint
lint: $(LINT) ## the linters of .golangci.yml
	$(LINT) run --allow-parallel-runners ./...

$(LINT):
	GOBIN=$(CURDIR)/$(BIN) GOFLAGS= CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: tidy
tidy: ## fail if go.mod or go.sum would change
	go mod tidy -diff

.PHONY: cross
cross: ## build for the other systems
	@for t in linux/arm64 darwin/arm64 darwin/amd64 windows/amd64; do \
	  echo $$t; GOOS=$${t%/*} GOARCH=$${t#*/} CGO_ENABLED=0 go build -o /dev/null ./cmd/annex || exit 1; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN) dist $(MODULE)
