"""Drives pyvcloud, unmodified, against a running gateway: it logs in, reads
the session and the organisations, keeps the filters of a service the way that
the vendor's container extension does, and registers a service of the older kind
with the SDK's own class for that."""
import os
import sys

from pyvcloud.vcd.api_extension import APIExtension
from pyvcloud.vcd.client import BasicLoginCredentials, Client, ApiVersion
from pyvcloud.vcd.exceptions import VcdException
from lxml import etree

url = os.environ["PEER_URL"]
VMEXT = "http://www.vmware.com/vcloud/extension/v1.5"


def connect(password):
    client = Client(url, verify_ssl_certs=True)
    client.set_credentials(BasicLoginCredentials(os.environ["PEER_USER"], "System", password))
    return client


try:
    connect("not " + os.environ["PEER_PASSWORD"])
    sys.exit("a wrong password was let in")
except VcdException as e:
    print("a wrong password:", type(e).__name__)

client = connect(os.environ["PEER_PASSWORD"])
assert client.is_sysadmin(), "not taken for a system administrator"
assert client.get_api_version() == ApiVersion.VERSION_36.value, client.get_api_version()
assert "System" in [o.get("name") for o in client.get_org_list()], "no organisation System"
assert client.get_org().get("id").startswith("urn:vcloud:org:")
admin = client.get_admin()
assert len(str(admin.Description).split(" ")[0].split(".")) >= 3, admin.Description


def rest(method, path, body=None):
    answer = client._session.request(
        method, url + path, json=body,
        headers={**client._session.headers, "Accept": "application/json;version=36.0"}, verify=os.environ["PEER_CA"])
    assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer


service = {
    "name": "pyvcloud", "vendor": "peers", "version": "1.0.0", "priority": 100,
    "enabled": "true", "authorizationEnabled": "false", "description": "",
}
made = rest("POST", "/cloudapi/extensions/api", service).json()
link = rest("GET", "/cloudapi/extensions/api/" + made["id"]).headers["Link"]
segments = link.split("extension/service")[1].split("/")
uuid = segments[1]

filters = f"{url}/api/admin/extension/service/{uuid}/apifilters"
body = etree.fromstring(f'<vmext:ApiFilter xmlns:vmext="{VMEXT}"><vmext:UrlPattern>/api/pyvcloud/.*</vmext:UrlPattern></vmext:ApiFilter>')
created = client.post_resource(filters, body, "application/vnd.vmware.admin.apiFilter+xml")
assert "/service/apifilter/" in created.get("href"), created.attrib
listed = client.get_resource(filters)
records = [r for r in listed.iterchildren() if r.tag.endswith("ApiFilterRecord")]
assert [r.get("urlPattern") for r in records] == ["/api/pyvcloud/.*"], etree.tostring(listed)
assert records[0].get("href") == created.get("href"), records[0].attrib
client.delete_resource(records[0].get("href"))
assert not [r for r in client.get_resource(filters).iterchildren() if r.tag.endswith("ApiFilterRecord")], "the filter is still there"

rest("PUT", "/cloudapi/extensions/api/" + made["id"], {**service, "enabled": "false"})
rest("DELETE", "/cloudapi/extensions/api/" + made["id"])

extensions = APIExtension(client)
patterns = ["/api/older", "/api/older/.*"]
extensions.add_extension("older", "peers.older", "older-key", "older-exchange", patterns)
assert [e["name"] for e in extensions.list_extensions()] == ["older"], extensions.list_extensions()
info = extensions.get_extension_info("older", "peers.older")
assert (info["routingKey"], info["exchange"], info["enabled"], info["priority"]) == ("older-key", "older-exchange", "true", "50"), info
assert sorted(v for k, v in info.items() if k.startswith("filter_")) == patterns, info
extensions.enable_extension("older", enabled=False, namespace="peers.older")
extensions.update_extension("older", namespace="peers.older", routing_key="other-key", exchange="other-exchange")
info = extensions.get_extension_info("older", "peers.older")
assert (info["routingKey"], info["exchange"], info["enabled"]) == ("other-key", "other-exchange", "false"), info
assert sorted(v for k, v in info.items() if k.startswith("filter_")) == patterns, "the update lost the filters"
extensions.enable_extension("older", enabled=True, namespace="peers.older")
right = extensions.add_service_right("look", "older", "peers.older", "may look", "Peers", "bundle")
assert right.get("name") == "{peers.older}:look", right.attrib
extensions.remove_all_api_filters_from_service("older", "peers.older")
assert not [k for k in extensions.get_extension_info("older", "peers.older") if k.startswith("filter_")], "filters are left"
extensions.add_api_filters_to_service("older", ["/api/again/.*"], "peers.older")
assert extensions.get_extension_info("older", "peers.older")["filter_1"] == "/api/again/.*"
extensions.delete_extension("older", "peers.older")
assert extensions.list_extensions() == [], "the service is still there"

client.logout()
print("pyvcloud is content")
