"""Walks the XML API by its links: no address but that of the login is known."""
import os

import requests
from lxml import etree

VCLOUD = "http://www.vmware.com/vcloud/v1.5"
VMEXT = "http://www.vmware.com/vcloud/extension/v1.5"
ADMIN = "application/vnd.vmware.admin."
url = os.environ["PEER_URL"]
web = requests.Session()
web.verify = os.environ["PEER_CA"]
web.headers["Accept"] = "application/*+xml;version=39.0"


def call(method, href, want, body=None, kind=None):
    data = None if body is None else etree.tostring(body, xml_declaration=True, encoding="UTF-8")
    headers = {"Content-Type": kind} if kind else {}
    answer = web.request(method, href, data=data, headers=headers, timeout=30)
    assert answer.status_code == want, f"{method} {href}: {answer.status_code}, not {want}: {answer.text}"
    return etree.fromstring(answer.content) if answer.content else None


def link(of, rel, kind=None):
    """The one link with this rel and media type, or to anything in XML."""
    found = [
        e.get("href") for e in of.findall(f"{{{VCLOUD}}}Link")
        if e.get("rel") == rel and (e.get("type", "").lower() == kind.lower() if kind else not e.get("type", "").endswith("+json"))
    ]
    assert len(found) == 1, f"{len(found)} links {rel} {kind} in {etree.tostring(of, pretty_print=True).decode()}"
    return found[0]


def make(tag, *children, **attributes):
    e = etree.Element(f"{{{VMEXT}}}{tag}", nsmap={"vmext": VMEXT, "vcloud": VCLOUD}, **attributes)
    for name, value in children:
        if isinstance(value, str):
            etree.SubElement(e, f"{{{VMEXT}}}{name}").text = value
        else:
            value.tag = f"{{{VMEXT}}}{name}"
            e.append(value)
    return e


def add(to, what, body):
    kind = f"{ADMIN}{what}+xml"
    made = call("POST", link(to, "add", kind), 201, body, kind)
    again = call("GET", made.get("href"), 200)
    assert again.get("id") == made.get("id"), (made.attrib, again.attrib)
    return made


def access(how):
    return make("Access", ("Access", how))


login = web.post(url + "/cloudapi/1.0.0/sessions/provider", auth=(os.environ["PEER_USER"] + "@System", os.environ["PEER_PASSWORD"]), timeout=30)
assert login.status_code == 200, login.text
web.headers["Authorization"] = "Bearer " + login.headers["X-VMWARE-VCLOUD-ACCESS-TOKEN"]

session = call("GET", url + "/api/session", 200)
extension = call("GET", link(session, "down", ADMIN + "vmwExtension+xml"), 200)
services = call("GET", link(extension, "down", ADMIN + "extensionServices+xml"), 200)
service = add(services, "service", make(
    "Service", ("Namespace", "peers.xmlwalk"), ("Enabled", "true"), ("AuthorizationEnabled", "true"),
    ("RoutingKey", "peers.xmlwalk"), ("Exchange", "peers.exchange"), name="xmlwalk"))
add(service, "apiFilter", make("ApiFilter", ("UrlPattern", "/api/xmlwalk/.*")))
kind = add(service, "resourceClass", make(
    "ResourceClass", ("MimeType", "application/vnd.peers.walk+xml"), ("UrlTemplate", "{baseUri}xmlwalk/{resourceId}"),
    ("Nid", "peers.walk"), ("UrnPattern", "urn:peers:walk:(?<id>.*)"), name="walk"))
action = add(kind, "resourceClassAction", make(
    "ResourceClassAction", ("HttpMethod", "GET"), ("UrlPattern", "/api/xmlwalk/(?<id>[^/]*)"), name="look"))
rule = add(action, "aclRule", make(
    "AclRule", ("ServiceResourceAccess", access("Shared")), ("OrganizationAccess", access("Shared")),
    ("PrincipalAccess", access("Shared")), name="members look"))

for made in (rule, action, kind):
    assert call("GET", link(made, "up"), 200) is not None
    call("DELETE", link(made, "remove"), 204)
off = call("GET", service.get("href"), 200)
call("PUT", link(off, "edit", ADMIN + "service+xml"), 200, make(
    "Service", ("Namespace", "peers.xmlwalk"), ("Enabled", "false"), ("RoutingKey", "peers.xmlwalk"),
    ("Exchange", "peers.exchange"), name="xmlwalk"), ADMIN + "service+xml")
call("DELETE", link(off, "remove"), 204)
call("GET", service.get("href"), 404)
print("from the session to an ACL rule and back by links")
