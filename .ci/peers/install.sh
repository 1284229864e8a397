# What the clients need. Sourced by run; each install_X says what it misses.

MQTTJS=5.16.0
PAHO=2.2.0
REQUESTS=2.34.2
PYVCLOUD=23.0.4

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
