"""A browser's share of a sign-in: names, certificates, cookies, redirects and forms, but no script."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import lxml.html
import requests
from requests.adapters import HTTPAdapter

from schoolstack.errors import SchoolError

# What browsers allow before they call it a loop (Fetch standard, "HTTP-redirect fetch").
MAX_REDIRECTS = 20


class SignInError(SchoolError):
    """The pages could not be walked: no connection, an untrusted certificate, a page that makes no sense."""


class Page:
    """One answer of a server.

    Attributes:
        url: where it came from, after redirects; where a redirect that was not followed would have led.
        status: the HTTP status code.
        headers: the HTTP headers, by name in any case.
        content: the body.
    """

    def __init__(self, response: requests.Response, url: str | None = None) -> None:
        """Wrap an answer; ``url`` when it is not the one that was asked."""
        self.url = url or response.url
        self.status = response.status_code
        self.headers = response.headers
        self.content = response.content

    @property
    def text(self) -> str:
        """The body as text: everything we and Keycloak serve is UTF-8."""
        return self.content.decode(errors="replace")

    @cached_property
    def tree(self) -> Any:
        """The parsed body: an ``lxml.html`` element."""
        parser = lxml.html.HTMLParser(encoding="utf-8")
        return lxml.html.fromstring(self.content.strip() or b"<html></html>", parser=parser)

    @property
    def words(self) -> str:
        """What a person reads on it, on one line."""
        return " ".join(self.tree.xpath("string(//body)").split())

    def element(self, element_id: str) -> Any | None:
        """Return the element with an id, if there is one."""
        found = self.tree.xpath("//*[@id=$id]", id=element_id)
        return found[0] if found else None


class _KnownNames(HTTPAdapter):
    """Connect to the given addresses for some names.

    Only the connection goes elsewhere: the name stays what is asked for, what SNI carries and what the
    certificate is checked against.
    """

    def __init__(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)
        super().__init__()

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        host: Any
        pool: Any
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        name = host["host"]
        if name in self._addresses:
            host["host"] = self._addresses[name]
            if host["scheme"] == "https":
                pool.update(server_hostname=name, assert_hostname=name)
        return host, pool

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers["Host"] = urlsplit(str(request.url)).netloc
        return super().send(request, *args, **kwargs)


class Browser:
    """One person's browser: its own cookies, the school's CA, and a say in where names lead.

    Attributes:
        session: the ``requests`` session beneath, for a test that needs an unusual request.
    """

    def __init__(
        self,
        resolve: Mapping[str, str] | None = None,
        ca: Path | None = None,
        timeout: float = 30,
        language: str = "nl",
    ) -> None:
        """Open a browser without cookies.

        Args:
            resolve: DNS names and the IP address each leads to; other names are looked up as usual.
            ca: the PEM file of the CA to trust; the public ones when not given.
            timeout: seconds to wait for an answer.
            language: what the person prefers to read, as in Accept-Language.

        Raises:
            SignInError: the CA's file does not exist.
        """
        if ca and not ca.is_file():
            raise SignInError(
                f"the CA's certificate {ca} does not exist: give the file the school's CA is in"
            )
        self.session = requests.Session()
        # Neither a proxy nor a CA bundle of the environment may come in between.
        self.session.trust_env = False
        self.session.verify = str(ca) if ca else True
        self.session.headers.update({"Accept": "text/html,*/*;q=0.8", "Accept-Language": language})
        self.timeout = timeout
        adapter = _KnownNames(resolve or {})
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, adapter)

    def get(self, url: str, until: str | None = None) -> Page:
        """Open an address and follow where it leads.

        Args:
            url: the address.
            until: stop before following a redirect to an address that begins so.

        Raises:
            SignInError: there was no answer that can be trusted.
        """
        return self.request("GET", url, until=until)

    def submit(self, page: Page, form: Any, values: Mapping[str, str], until: str | None = None) -> Page:
        """Fill in a form of a page and send it.

        Args:
            page: where the form stands.
            form: its ``lxml.html`` element.
            values: what to fill in beside the form's own values.
            until: see :meth:`get`.

        Raises:
            SignInError: the form would go without encryption, or there was no answer that can be trusted.
        """
        target = urljoin(page.url, form.get("action") or "")
        if urlsplit(target).scheme != "https":
            raise SignInError(
                f"the form on {_short(page.url)} would be sent without encryption to {_short(target)}"
            )
        return self.request(form.method, target, dict(form.form_values()) | dict(values), until)

    def request(
        self, method: str, url: str, values: Mapping[str, str] | None = None, until: str | None = None
    ) -> Page:
        """Ask for an address with any method and follow where it leads.

        Args:
            method: the HTTP method.
            url: the address.
            values: form fields; in the query for GET, else in the body.
            until: see :meth:`get`.

        Raises:
            SignInError: there was no answer that can be trusted.
        """
        for _ in range(MAX_REDIRECTS):
            response = self._ask(method, url, values)
            if not response.is_redirect:
                return Page(response)
            url = urljoin(response.url, response.headers["Location"])
            if until and url.startswith(until):
                return Page(response, url)
            method, values = "GET", None
        raise SignInError(
            f"{_short(url)} keeps redirecting: it is reached by another address than it believes"
        )

    def close(self) -> None:
        """Close its connections."""
        self.session.close()

    def _ask(self, method: str, url: str, values: Mapping[str, str] | None) -> requests.Response:
        place = "params" if method == "GET" else "data"
        options: dict[str, Any] = {place: values, "timeout": self.timeout, "allow_redirects": False}
        try:
            return self.session.request(method, url, **options)
        except requests.exceptions.SSLError as error:
            raise SignInError(f"the certificate of {_short(url)} is not trusted: {_cause(error)}") from error
        except requests.exceptions.Timeout as error:
            raise SignInError(f"{_short(url)} did not answer within {self.timeout:g} s") from error
        except requests.exceptions.RequestException as error:
            raise SignInError(f"{_short(url)} cannot be reached: {_cause(error)}") from error


def _short(url: str) -> str:
    """Return an address without its query, which may carry codes that are nobody's business."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def _cause(error: BaseException) -> str:
    """Return the innermost reason of a nested error."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _cause(reason)
    return str(error.args[-1] if error.args else error)
