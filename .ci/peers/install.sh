# What the clients need. Sourced by run; each install_X says what it misses.

MQTTJS=5.16.0
PAHO=2.2.0
REQUESTS=2.34.2
PYVCLOUD=23.0.4
PROXYWASMRUST=0.2.0
PROXYWASMAS=1.2.3
ASSEMBLYSCRIPT=0.28.20
WASISHIM=0.1.0
HTTPWASMRUST=1.2.0
CORAZA=v0.0.0-20260824140537-b1770f5b0be3
CORAZASDK=v0.0.0-20250212164326-ab4161dcf924

# need TOOL PACKAGE: a tool of this machine, from Debian's packages if it is
# missing and we may install it.
need() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2"; } >/dev/null
  fi
  command -v "$1" >/dev/null || { echo "$1 is needed: install it (Debian: apt-get install $2)" >&2; return 1; }
}

base_tools() {
  command -v go >/dev/null || { echo "go is needed, in the version that go.mod names" >&2; return 1; }
  need curl curl && need jq jq && need timeout coreutils
}

# patiently COMMAND...: a registry that hangs is asked again, and not for ever.
patiently() {
  timeout --kill-after=5 150 "$@" </dev/null || { echo "once more: $1" >&2 && timeout --kill-after=5 150 "$@" </dev/null; }
}

# once NAME VERSIONS COMMAND...: runs the command in $PEER_CACHE/NAME unless
# it has been run for these versions.
once() {
  local dir=$PEER_CACHE/$1 want=$2
  shift 2
  [ "$(cat "$dir/installed" 2>/dev/null)" = "$want" ] && return
  rm -rf "$dir" && mkdir -p "$dir" && (cd "$dir" && "$@") && echo "$want" >"$dir/installed"
}

node_packages() { patiently npm install --prefer-offline --no-audit --no-fund --no-package-lock --loglevel=error --prefix . "$@"; }

install_mqttjs() { need node nodejs && need npm npm && once mqttjs "$MQTTJS" node_packages "mqtt@$MQTTJS"; }

# venv PYTHON PACKAGES...
venv() {
  local python=$1
  shift
  "$python" -m venv . && patiently bin/pip install --quiet --disable-pip-version-check "$@"
}

install_paho() {
  need python3 python3 && once paho "$PAHO $REQUESTS" venv python3 "paho-mqtt==$PAHO" "requests==$REQUESTS"
}
install_apitoken() { install_paho; }

install_pyvcloud() {
  need python3 python3 && once pyvcloud "$PYVCLOUD" venv python3 "pyvcloud==$PYVCLOUD"
}

# It uses the lxml and requests that come with pyvcloud.
install_xmlwalk() { install_pyvcloud; }

install_gosdk() {
  mkdir -p "$PEER_CACHE/gosdk" && (cd "$here/gosdk" && CGO_ENABLED=0 go build -buildvcs=false -o "$PEER_CACHE/gosdk/gosdk" .)
}

# The version of the kit is in its go.mod.
install_httpwasm() {
  mkdir -p "$PEER_CACHE/httpwasm" && (cd "$here/httpwasm" && export CGO_ENABLED=0 &&
    go build -buildvcs=false -o "$PEER_CACHE/httpwasm/backend" ./backend && go test -buildvcs=false -c -o "$PEER_CACHE/httpwasm/kit" .)
}

install_httpwasmrust() {
  install_httpwasm && rust_for_wasm && once httpwasmrust "$HTTPWASMRUST" crate_examples http-wasm-guest "$HTTPWASMRUST"
}

# The version of the Go SDK is in its go.mod.
install_proxywasm() {
  mkdir -p "$PEER_CACHE/proxywasm" && (cd "$here/proxywasm" && export CGO_ENABLED=0 &&
    go build -buildvcs=false -o "$PEER_CACHE/proxywasm/backend" ./backend &&
    GOOS=wasip1 GOARCH=wasm go build -buildvcs=false -buildmode=c-shared -o "$PEER_CACHE/proxywasm/guest.wasm" ./guest)
}

# The last version of the crate that has its examples with it.
install_proxywasmrust() {
  install_proxywasm && rust_for_wasm && once proxywasmrust "$PROXYWASMRUST" crate_examples proxy-wasm "$PROXYWASMRUST"
}

install_proxywasmas() {
  install_proxywasm && need node nodejs && need npm npm &&
    once proxywasmas "$PROXYWASMAS $ASSEMBLYSCRIPT $WASISHIM" readme_example
}

install_coraza() { install_proxywasm && once coraza "$CORAZA $CORAZASDK" coraza_module; }

# coraza_module: the plugin as published, but for the SDK, which is TinyGo's
# there, and for main, which the Go toolchain does not call in a library.
coraza_module() {
  local at sdk=github.com/proxy-wasm/proxy-wasm-go-sdk
  at=$(patiently go mod download -json "github.com/corazawaf/coraza-proxy-wasm@$CORAZA" | jq -er .Dir) && cp -R "$at" source &&
    chmod -R u+w source && cd source && rm -f go.work init_tinygo.go mage.go &&
    find . -name '*.go' -exec sed -i "s#github.com/tetratelabs/proxy-wasm-go-sdk#$sdk#" {} + && sed -i 's/^func main() {/func main() {}\n\nfunc init() {/' main.go &&
    go mod edit -droprequire github.com/tetratelabs/proxy-wasm-go-sdk -require "$sdk@$CORAZASDK" &&
    CGO_ENABLED=0 GOOS=wasip1 GOARCH=wasm patiently go build -mod=mod -buildvcs=false -buildmode=c-shared \
      -tags no_fs_access,coraza.rule.multiphase_evaluation -o ../coraza.wasm . && cd .. && rm -rf source
}

# readme_example: what the README of the SDK says to write, built as it says.
readme_example() {
  node_packages "@gcoredev/proxy-wasm-sdk-as@$PROXYWASMAS" "assemblyscript@$ASSEMBLYSCRIPT" "@assemblyscript/wasi-shim@$WASISHIM" &&
    sed -n '/^```ts/,/^```/p' node_modules/@gcoredev/proxy-wasm-sdk-as/README.md | sed '/^```/d' >example.ts &&
    node node_modules/assemblyscript/bin/asc.js example.ts -o example.wasm --optimize --use abort=abort_proc_exit \
      --config node_modules/@assemblyscript/wasi-shim/asconfig.json
}

# rust_for_wasm: cargo, and what it needs to build for wasm32-wasip1.
rust_for_wasm() {
  need cargo cargo || return 1
  has_wasm && return
  if command -v rustup >/dev/null; then
    patiently rustup target add wasm32-wasip1
  elif [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq libstd-rust-dev-wasm32 >/dev/null
  fi
  has_wasm || { echo "Rust 1.85.1 or later with the target wasm32-wasip1 is needed: rustup target add wasm32-wasip1" >&2; return 1; }
}
has_wasm() { [ -d "$(rustc --print target-libdir --target wasm32-wasip1 2>/dev/null)" ]; }

# crate_examples NAME VERSION: the examples of a crate, as they were published.
crate_examples() {
  mkdir src && touch src/lib.rs && printf '[package]\nname = "peer"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n' "$1" "$2" >Cargo.toml &&
    patiently cargo vendor --quiet >/dev/null && mv "vendor/$1" crate &&
    (cd crate && patiently cargo build --quiet --release --examples --target wasm32-wasip1) &&
    cp crate/target/wasm32-wasip1/release/examples/*.wasm . && rm -rf crate/target
}
