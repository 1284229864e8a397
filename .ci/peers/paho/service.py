"""An external service that answers with what it was asked."""
import base64
import json
import os
import sys
from urllib.parse import urlsplit

from paho.mqtt import client as mqtt

env = os.environ


def say(what, code=None):
    print(what, flush=True)
    if code is not None:
        os._exit(code)


def on_connect(client, userdata, flags, reason, properties):
    if reason.is_failure:
        say(f"refused: {reason}", 2)
    client.subscribe(env["SERVICE_MONITOR"], qos=2)


def on_subscribe(client, userdata, mid, reasons, properties):
    say(f"ready, granted {reasons}")


def on_message(client, userdata, msg):
    call = json.loads(msg.payload)
    message = json.loads(base64.b64decode(call["httpRequest"]))["message"]
    head = f'{message["method"]} {message["requestUri"]} {message["queryString"]} '
    body = head.encode() + base64.b64decode(message["body"])
    client.publish(env["SERVICE_RESPOND"], json.dumps({
        "type": "API_RESPONSE",
        "headers": {"requestId": call["headers"]["requestId"]},
        "httpResponse": {
            "statusCode": 200,
            "headers": {"Content-Type": "text/plain", "Content-Length": len(body)},
            "body": base64.b64encode(body).decode(),
        },
    }), qos=2)


def on_disconnect(client, userdata, flags, reason, properties):
    say(f"lost: {reason}", 3)


url = urlsplit(env["SERVICE_URL"])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="annex-peer-paho", transport="websockets")
client.username_pw_set(env["SERVICE_USER"], env["SERVICE_TOKEN"])
client.tls_set(ca_certs=env["PEER_CA"])
client.ws_set_options(path=url.path)
client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_message, client.on_disconnect = on_message, on_disconnect
client.connect(url.hostname, url.port, keepalive=60)
sys.exit(client.loop_forever())
