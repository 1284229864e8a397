# Registers an external service and calls it, with curl. Sourced by the peers
# whose client is such a service.

fail() { echo "FAIL: $*" >&2; exit 1; }

curl_options=(--silent --show-error --max-time 30 --cacert "$PEER_CA")

# want STATUS METHOD PATH [BODY]: makes a call as the administrator, and gives
# the answer's body if it has the status.
want() {
  local status=$1 method=$2 path=$3 got
  shift 3
  got=$(curl "${curl_options[@]}" -o "$PEER_DIR/answer" -w '%{http_code}' -X "$method" -H "Authorization: Bearer $session" \
    -H 'Accept: application/*;version=39.0' ${1+-H 'Content-Type: application/json' --data-binary "$1"} "$PEER_URL$path") ||
    fail "$method $path: no answer"
  [ "$got" = "$status" ] || fail "$method $path: $got, not $status: $(cat "$PEER_DIR/answer")"
  cat "$PEER_DIR/answer"
}

log_in() {
  session=$(curl "${curl_options[@]}" -o /dev/null -D - -X POST -u "$PEER_USER@System:$PEER_PASSWORD" \
    "$PEER_URL/cloudapi/1.0.0/sessions/provider" | tr -d '\r' | sed -n 's/^x-vmware-vcloud-access-token: //Ip')
  [ -n "$session" ] || fail "the login gave no token"
}

# register: the service peers/$PEER_NAME/1.0.0, its token and its filter.
register() {
  log_in
  export SERVICE_USER=peers/$PEER_NAME/1.0.0 SERVICE_TOKEN SERVICE_MONITOR SERVICE_RESPOND
  export SERVICE_URL=wss://${PEER_URL#https://}/messaging/mqtt
  local made
  made=$(want 201 POST /cloudapi/extensions/api \
    '{"vendor":"peers","name":"'"$PEER_NAME"'","version":"1.0.0","priority":100,"enabled":true,"authorizationEnabled":false}') || exit 1
  service=$(jq -er .id <<<"$made") && SERVICE_MONITOR=$(jq -er .mqttTopics.monitor <<<"$made") &&
    SERVICE_RESPOND=$(jq -er .mqttTopics.respond <<<"$made") || fail "not a service: $made"
  SERVICE_TOKEN=$(want 201 POST /cloudapi/1.0.0/tokens \
    '{"name":"'"$SERVICE_USER"'","type":"EXTENSION","extensionId":"'"$service"'"}' | jq -er .token) || fail "no token"
  want 201 POST /cloudapi/1.0.0/apiFilters \
    '{"externalSystem":{"id":"'"$service"'"},"urlMatcher":{"urlPattern":"/api/peers/'"$PEER_NAME"'/.*","urlScope":"API"}}' >/dev/null || exit 1
}

# start LOG COMMAND...: runs the service until it says that it is ready.
start() {
  local log=$1
  shift
  "$@" >"$log" 2>&1 &
  started=$!
  trap 'kill "$started" 2>/dev/null' EXIT
  for _ in $(seq 150); do
    grep -q '^ready' "$log" && return
    kill -0 "$started" 2>/dev/null || break
    sleep 0.1
  done
  fail "the service did not get ready: $(cat "$log")"
}

# ends PID LOG WORD: the process ends by itself and says why.
ends() {
  for _ in $(seq 150); do
    kill -0 "$1" 2>/dev/null || { grep -q "$3" "$2" && return; fail "ended otherwise: $(cat "$2")"; }
    sleep 0.1
  done
  fail "still there: $(cat "$2")"
}

# call_all N: N calls, 32 at a time; each must have the answer to itself.
call_all() {
  local n=$1 dir=$PEER_DIR/calls i bad=0
  rm -rf "$dir" && mkdir -p "$dir"
  for i in $(seq "$n"); do
    printf 'url = "%s/api/peers/%s/%s?n=%s"\noutput = "%s/%s"\ndata-binary = "body %s é"\ncacert = "%s"\nmax-time = 30\n' \
      "$PEER_URL" "$PEER_NAME" "$i" "$i" "$dir" "$i" "$i" "$PEER_CA"
    printf 'header = "Authorization: Bearer %s"\nheader = "Content-Type: text/plain"\nnext\n' "$session"
  done | sed '$d' >"$PEER_DIR/calls.conf"
  curl --silent --show-error --parallel --parallel-max 32 -K "$PEER_DIR/calls.conf" || fail "curl: $?"
  for i in $(seq "$n"); do
    [ "$(cat "$dir/$i" 2>/dev/null)" = "POST /api/peers/$PEER_NAME/$i n=$i body $i é" ] ||
      { bad=$((bad + 1)); echo "call $i: $(cat "$dir/$i" 2>&1)"; }
  done
  [ "$bad" -eq 0 ] || fail "$bad of $n calls went wrong"
  echo "$n calls, all right"
}

disable() {
  want 200 PUT "/cloudapi/extensions/api/$service" \
    '{"vendor":"peers","name":"'"$PEER_NAME"'","version":"1.0.0","priority":100,"enabled":false,"authorizationEnabled":false}' >/dev/null || exit 1
}

unregister() {
  want 204 DELETE "/cloudapi/extensions/api/$service" || exit 1
}
