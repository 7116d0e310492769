"""Publishes that the page of somebody else makes a browser send, which matters where no credential is asked for.

A browser sends a form, or a fetch() in the mode `no-cors`, to any address without asking: also to one that only this
machine reaches. Such a request cannot have the content type application/json, and a browser of today says where it
comes from (W3C Fetch Metadata, and Origin of WHATWG Fetch).
"""

from urllib.parse import urlsplit

from sse_app.base.asgi import Scope, header_values
from sse_app.base.problem import Problem

_JSON = "application/json"
_AS_WRITTEN = [b"application/json"]
ACCEPT = {"accept": _JSON}  # an answer 415 says what is taken (RFC 9110, section 15.5.16)


def refuse(scope: Scope, origins: str) -> None:
    """Raise Problem 403 for a request of a foreign page, and 415 for one that a page could send without being asked.

    :param origins: of pages that may (SSE_CORS_ORIGINS), separated by commas, or *
    """
    sites, given = header_values(scope, b"sec-fetch-site"), header_values(scope, b"origin")
    types = header_values(scope, b"content-type")
    if not sites and not given and types == _AS_WRITTEN:  # what programs send
        return
    if not _allowed(scope, origins):
        raise Problem(403, "a page of another origin may not publish here (SSE_CORS_ORIGINS lists those that may)")
    kinds = [value.decode("latin-1").partition(";")[0].strip().lower() for value in types]
    if kinds != [_JSON]:
        found = " and ".join(repr(kind[:100]) for kind in kinds[:2]) or "none"
        raise Problem(415, f"Content-Type: expected {_JSON}, found {found}", ACCEPT)


def _allowed(scope: Scope, origins: str) -> bool:
    sites, given = header_values(scope, b"sec-fetch-site"), header_values(scope, b"origin")
    allowed = origins.split(",")
    if "*" in allowed or (given and all(one.decode("latin-1") in allowed for one in given)):
        return True
    if sites in ([b"same-origin"], [b"none"]):  # the browser vouches for it; none: nobody but its user asked
        return True
    return not sites and all(_own(scope, one.decode("latin-1")) for one in given)


def _own(scope: Scope, origin: str) -> bool:
    """Whether a page comes from the name of this service, and from its port where Host has one.

    NGINX passes the name on without its port, and so do proxies before it: then the port of the page cannot be told. It
    counts only where a browser says nothing better, over plain HTTP from another machine.
    """
    try:
        page = urlsplit(origin)
        [service] = [urlsplit(f"//{host.decode('latin-1')}") for host in header_values(scope, b"host")]
        port = page.port or {"http": 80, "https": 443}.get(page.scheme)
        return bool(page.hostname) and page.hostname == service.hostname and service.port in (None, port)
    except ValueError:
        return False
