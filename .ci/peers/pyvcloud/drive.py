"""Drives pyvcloud, unmodified, against a running gateway: it logs in, reads
the session and the organisations, and keeps the filters of a service the way
that the vendor's container extension does."""
import os
import sys

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
client.logout()
print("pyvcloud is content")
