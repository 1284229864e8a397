# A gateway of its own in front of a small backend, with modules of others
# around the calls. Sourced by the peers that are modules.

# open_house BACKEND: starts both and logs in.
open_house() {
  trap 'kill $house 2>/dev/null' EXIT
  house=
  (cd "$PEER_DIR" && exec "$PEER_CACHE/$1/backend") >"$PEER_DIR/backend.out" &
  house+=" $!"
  says "$PEER_DIR/backend.out" '^ready at '
  BACKEND=$(sed -n 's/^ready at //p' "$PEER_DIR/backend.out")
  ANNEX_LOG_LEVEL=debug ANNEX_LOG_ACCESS=off ANNEX_ADMIN_PASSWORD=$PEER_PASSWORD "$PEER_ANNEX" serve --data "$PEER_DIR/data" \
    --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 --upstream "$BACKEND" >"$PEER_DIR/gateway.out" 2>"$PEER_DIR/gateway.log" &
  house+=" $!"
  says "$PEER_DIR/gateway.out" '^clients trust it'
  PEER_URL=$(sed -n 's/^annex listens on //p' "$PEER_DIR/gateway.out")
  PEER_CA=$(sed -n 's/^clients trust it with the certificate authority in //p' "$PEER_DIR/gateway.out")
  ADMIN=$(sed -n 's/^health, metrics and profiles are at //p' "$PEER_DIR/gateway.out")
  . "$(dirname "$0")/../service.sh"
  log_in
}

# says FILE TEXT: waits for what was started last.
says() {
  for _ in $(seq 150); do
    grep -qs "$2" "$1" && return
    kill -0 $! 2>/dev/null || break
    sleep 0.1
  done
  echo "FAIL: it did not start: $(cat "$1" "$PEER_DIR"/gateway.log 2>/dev/null)" >&2
  exit 1
}

# guest NAME FILE PATTERN [SETTINGS [STAGE]]: a module around the calls whose
# path matches; SETTINGS are further members of "wasm".
guest() {
  local module
  module=$(curl "${curl_options[@]}" -H "Authorization: Bearer $session" -H 'Content-Type: application/wasm' --data-binary "@$2" \
    "$PEER_URL/cloudapi/extensions/modules" | jq -er .id) || fail "$2 was not taken"
  want 201 POST /cloudapi/extensions/api '{"vendor":"peers","name":"'"$1"'","version":"1.0.0","priority":50,"enabled":true,
    "authorizationEnabled":false,"kind":"wasm","wasm":{"module":"'"$module"'","deadlineMs":5000'"${4:+,$4}"'}}' >/dev/null || exit 1
  want 201 POST /cloudapi/1.0.0/apiFilters '{"externalSystem":{"id":"urn:vcloud:extension-api:peers:'"$1"':1.0.0"},
    "urlMatcher":{"urlPattern":"'"$3"'","urlScope":"API"}'"${5:+,\"stage\":\"$5\"}"'}' >/dev/null || exit 1
}

# ask STATUS CURL-ARGUMENTS... PATH: a call; what came is in answer and head.
ask() {
  local status=$1 got
  shift
  got=$(curl "${curl_options[@]}" -o "$PEER_DIR/answer" -D "$PEER_DIR/head" -w '%{http_code}' -H "Authorization: Bearer $session" \
    "${@:1:$#-1}" "$PEER_URL${!#}") || fail "${!#}: no answer"
  [ "$got" = "$status" ] || fail "${!#}: $got, not $status: $(cat "$PEER_DIR/answer")"
}

# shows FILE TEXT: the answer or its head has the text.
shows() { grep -qi -- "$2" "$PEER_DIR/$1" || fail "the $1 has no '$2': $(cat "$PEER_DIR/$1")"; }

# wrote NAME TEXT: a guest has logged the text, or does so soon.
wrote() {
  local log
  for _ in $(seq 100); do
    log=$(want 200 GET "/cloudapi/extensions/api/urn:vcloud:extension-api:peers:$1:1.0.0/logs" | jq -r .text) || exit 1
    grep -q -- "$2" <<<"$log" && return
    sleep 0.1
  done
  fail "$1 did not log '$2' but: $log"
}
