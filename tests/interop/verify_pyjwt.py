"""Verifies an access token with PyJWT by the keys that its issuer publishes.

Reads {"token": "...", "issuer": "..."} from stdin, prints {"typ": "...", "claims": {...}}.
"""

import json
import sys
import urllib.request

import jwt

order = json.load(sys.stdin)
issuer = order["issuer"]
with urllib.request.urlopen(f"{issuer}/.well-known/oauth-authorization-server") as answer:
    metadata = json.load(answer)
key = jwt.PyJWKClient(metadata["jwks_uri"]).get_signing_key_from_jwt(order["token"])
claims = jwt.decode(
    order["token"],
    key,
    algorithms=["EdDSA", "RS256"],
    issuer=metadata["issuer"],
    audience=issuer,
    options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]},
)
print(json.dumps({"typ": jwt.get_unverified_header(order["token"])["typ"], "claims": claims}))
