"""The HTTP client of steps. It calls only configured services, bounds everything, and trusts no answer."""

import ssl
from collections.abc import Iterable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from uuid import uuid4

import anyio
import httpx
import msgspec

from application.ports import BadAnswer, HttpAnswer, HttpRequest, NoAnswer
from infrastructure.services.tokens import ServiceTokens

MOST_BYTES = 1024 * 1024
"""The largest body of an answer. A result becomes part of the log."""

MASK = "***"

_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


class HttpCaller:
    """Calls services by name, at the addresses of the settings.

    Each call has its own client, and so its own connection. A service may close a kept connection just when
    it is used again, and bytes that it sends in excess would be taken for the answer to the next call,
    perhaps another tenant's. Nor can a cancelled call keep a place in a pool: httpcore 1.0 loses places when
    a request is cancelled that waits for one. No cookies are kept either.
    """

    def __init__(self, urls: Mapping[str, str], tokens: ServiceTokens, *, user_agent: str) -> None:
        self._urls = {name: httpx.URL(url) for name, url in urls.items()}
        self._tokens = tokens
        self._user_agent = user_agent
        self._ssl = _trust(self._urls.values())

    async def call(self, request: HttpRequest, seconds: float) -> HttpAnswer | NoAnswer | BadAnswer:
        """Send a request and return its outcome within ``seconds``, counted from the name's look-up to the
        last byte."""
        token = self._tokens.for_tenant(request.tenant)
        answer: HttpAnswer | NoAnswer | BadAnswer
        answer = NoAnswer(f"no answer within {seconds:.3g} s", timed_out=True)
        with anyio.move_on_after(seconds):
            answer = await self._outcome(request, token)
        return _without(token, answer)

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=None,  # noqa: S113 - each call is bounded as a whole
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            verify=self._ssl,
        )

    async def _outcome(self, request: HttpRequest, token: str | None) -> HttpAnswer | NoAnswer | BadAnswer:
        try:
            async with self._client() as client:
                return await self._follow(client, request, self._headers(request, token))
        except httpx.TransportError as error:
            return NoAnswer(f"no answer: {type(error).__name__}: {error}".rstrip(": "))
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            return BadAnswer(f"{type(error).__name__}: {error}")

    async def _follow(
        self, client: httpx.AsyncClient, request: HttpRequest, headers: Mapping[str, str]
    ) -> HttpAnswer | NoAnswer | BadAnswer:
        """Send a request. If it is a GET, follow redirects on the same origin."""
        base = self._urls[request.service]
        path = base.raw_path.split(b"?")[0].rstrip(b"/") + request.path.encode()
        url = base.copy_with(raw_path=path + (b"?" + request.query.encode() if request.query else b""))
        for _ in range(_MOST_REDIRECTS + 1):
            async with client.stream(request.method, url, headers=headers, content=request.body) as response:
                if response.status_code not in _REDIRECTS:
                    return await _read(response)
                location = response.headers.get("Location", "")
            if request.method != "GET":
                return BadAnswer(f"it answered {response.status_code}: redirects are followed for GET alone")
            if not location:
                return BadAnswer("it redirects without a Location, and so to nowhere")
            url = url.join(location)
            if _origin(url) != _origin(base) or url.userinfo:
                return BadAnswer("it redirects to another host, which is not followed")
        return BadAnswer(f"it redirects more than {_MOST_REDIRECTS} times")

    def _headers(self, request: HttpRequest, token: str | None) -> Mapping[str, str]:
        headers = {
            **request.headers,
            "X-Request-ID": str(uuid4()),
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _trust(urls: Iterable[httpx.URL]) -> ssl.SSLContext:
    """Trust the machine's certificate authorities if any service uses TLS; reading them takes 33 ms.
    Otherwise trust none."""
    if any(url.scheme == "https" for url in urls):
        return ssl.create_default_context()
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


async def _read(response: httpx.Response) -> HttpAnswer | BadAnswer:
    """Return the answer unless it is longer than any result. Of an error's body only the beginning is
    read."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return BadAnswer("its answer is compressed, though it was asked not to")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            if response.is_success:
                return BadAnswer(f"its answer is longer than {MOST_BYTES} bytes")
            break
    return HttpAnswer(
        status=response.status_code,
        body=bytes(body[:MOST_BYTES]),
        retry_after=response.headers.get("Retry-After"),
    )


def _without(
    token: str | None, answer: HttpAnswer | NoAnswer | BadAnswer
) -> HttpAnswer | NoAnswer | BadAnswer:
    """Mask our token in an answer, since people may read the step's error or result."""
    if token is None:
        return answer
    if isinstance(answer, HttpAnswer):
        body = answer.body.replace(token.encode(), MASK.encode())
        return msgspec.structs.replace(answer, body=body)
    return msgspec.structs.replace(answer, why=answer.why.replace(token, MASK))
