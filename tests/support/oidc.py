"""A provider of identities for one machine: whoever comes is signed in as the user that is named at the moment."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlparse

from joserfc import jwt
from joserfc.jwk import RSAKey


class Provider:
    """url: of the provider. user: who is signed in next."""

    def __init__(self) -> None:
        self.user = "nobody"
        self.key = RSAKey.generate_key(2048, {"kid": "key", "use": "sig", "alg": "RS256"})
        self.asked: dict[str, tuple[str, dict[str, str]]] = {}  # by code: the user, and what was asked
        self.url = ""

    def secrets(self) -> str:
        """What an operator writes into Streamlit's secrets."""
        return f"""
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{secrets.token_hex(24)}"
client_id = "candor"
client_secret = "{secrets.token_hex(8)}"
server_metadata_url = "{self.url}/.well-known/openid-configuration"
"""

    def metadata(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, code: str) -> dict[str, object]:
        user, asked = self.asked.pop(code)
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": asked["client_id"], "sub": user, "name": user.capitalize(),
            "email": f"{user}@example.org", "iat": now, "exp": now + 600, "nonce": asked.get("nonce", ""),
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "key"}, claims, self.key)
        return {"access_token": secrets.token_hex(8), "token_type": "Bearer", "expires_in": 600, "id_token": signed}


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers until the end of the block."""
    of = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, asked = urlparse(self.path).path, {k: v[0] for k, v in parse_qs(urlparse(self.path).query).items()}
            if path == "/authorize":
                code = secrets.token_hex(8)
                of.asked[code] = (of.user, asked)
                self.send_response(302)
                self.send_header(
                    "Location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
                )
                self.end_headers()
                return
            self._answer(of.metadata() if "well-known" in path else {"keys": [of.key.as_dict(private=False)]})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(of.token(parse_qs(body)["code"][0]))

        def _answer(self, document: dict[str, object]) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    of.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield of
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
