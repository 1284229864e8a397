# A gateway of its own in front of the backend of http-wasm's conformance kit.
# Sourced by the peers that are guests.

# open_house: starts both and logs in.
open_house() {
  trap 'kill $house 2>/dev/null' EXIT
  house=
  (cd "$PEER_DIR" && exec "$PEER_CACHE/httpwasm/backend") >"$PEER_DIR/backend.out" &
  house+=" $!"
  says "$PEER_DIR/backend.out" '^ready at '
  ANNEX_ADMIN_PASSWORD=$PEER_PASSWORD "$PEER_ANNEX" serve --data "$PEER_DIR/data" --listen 127.0.0.1:0 --admin-listen off \
    --upstream "$(sed -n 's/^ready at //p' "$PEER_DIR/backend.out")" >"$PEER_DIR/gateway.out" 2>"$PEER_DIR/gateway.log" &
  house+=" $!"
  says "$PEER_DIR/gateway.out" '^clients trust it'
  PEER_URL=$(sed -n 's/^annex listens on //p' "$PEER_DIR/gateway.out")
  PEER_CA=$(sed -n 's/^clients trust it with the certificate authority in //p' "$PEER_DIR/gateway.out")
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

# guest NAME FILE PATTERN: a module of somebody else stands around the calls
# whose path matches.
guest() {
  local module
  module=$(curl "${curl_options[@]}" -H "Authorization: Bearer $session" -H 'Content-Type: application/wasm' --data-binary "@$2" \
    "$PEER_URL/cloudapi/extensions/modules" | jq -er .id) || fail "$2 was not taken"
  want 201 POST /cloudapi/extensions/api '{"vendor":"peers","name":"'"$1"'","version":"1.0.0","priority":50,"enabled":true,
    "authorizationEnabled":false,"kind":"wasm","wasm":{"module":"'"$module"'","rewrite":true,"deadlineMs":5000}}' >/dev/null || exit 1
  want 201 POST /cloudapi/1.0.0/apiFilters '{"externalSystem":{"id":"urn:vcloud:extension-api:peers:'"$1"':1.0.0"},
    "urlMatcher":{"urlPattern":"'"$3"'","urlScope":"API"}}' >/dev/null || exit 1
}
