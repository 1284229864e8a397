"""Gets an API token, logs in with it, and sees it die."""
import os
import requests

url, ca = os.environ["PEER_URL"], os.environ["PEER_CA"]
web = requests.Session()
web.verify = ca


def call(method, path, want, token=None, **more):
    headers = {"Accept": "application/json;version=39.0"}
    if token:
        headers["Authorization"] = "Bearer " + token
    answer = web.request(method, url + path, headers=headers, timeout=30, **more)
    wanted = want if isinstance(want, tuple) else (want,)
    assert answer.status_code in wanted, f"{method} {path}: {answer.status_code}, not {want}: {answer.text}"
    return answer


user = (os.environ["PEER_USER"] + "@System", os.environ["PEER_PASSWORD"])
session = call("POST", "/cloudapi/1.0.0/sessions/provider", 200, auth=user).headers["X-VMWARE-VCLOUD-ACCESS-TOKEN"]
registered = call("POST", "/oauth/provider/register", (200, 201), session, json={"client_name": "peer-requests"}).json()
granting = {
    "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "assertion": session, "client_id": registered["client_id"],
}
first = call("POST", "/oauth/provider/token", 200, data=granting).json()
assert first["token_type"] == "Bearer" and first["refresh_token"], first
assert call("POST", "/oauth/provider/token", (400, 401), data=granting).json()["message"], "no reason was given"

refreshing = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
login = call("POST", "/oauth/provider/token", 200, data=refreshing).json()
who = call("GET", "/cloudapi/1.0.0/sessions/current", 200, login["access_token"]).json()
assert who["user"]["name"] == os.environ["PEER_USER"], who

token = "/cloudapi/1.0.0/tokens/urn:vcloud:token:" + registered["client_id"]
call("DELETE", token, 204, session)
call("GET", token, 403, session)
call("GET", "/cloudapi/1.0.0/sessions/current", 401, login["access_token"])
assert call("POST", "/oauth/provider/token", (400, 401), data=refreshing).json()["message"], "no reason was given"
print("logged in with an API token as", who["user"]["name"])
