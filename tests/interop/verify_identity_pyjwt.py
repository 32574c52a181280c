"""Verifies with PyJWT who calls, as an upstream does, by the key set of the gateway.

Reads {"token": "...", "jwks": "...", "issuer": "...", "audience": "..."} from stdin, prints {"header": {...}, "claims": {...}}.
"""

import json
import sys

import jwt

order = json.load(sys.stdin)
key = jwt.PyJWKClient(order["jwks"]).get_signing_key_from_jwt(order["token"])
claims = jwt.decode(
    order["token"],
    key,
    algorithms=["EdDSA", "RS256"],
    issuer=order["issuer"],
    audience=order["audience"],
    options={"require": ["iss", "aud", "iat", "exp", "client_id", "account"]},
)
print(json.dumps({"header": jwt.get_unverified_header(order["token"]), "claims": claims}))
