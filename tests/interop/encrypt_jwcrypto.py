"""Encrypts with jwcrypto.

Reads {"jwk": {...}, "header": {...}, ...} from stdin and prints a compact JWE to that key with that protected header.
Inside is "text" if it is there, else a token that jwcrypto signs with HS256: "claims" and "secret", a text.
"""

import json
import sys

from jwcrypto import jwe, jwk, jwt
from jwcrypto.common import base64url_encode

order = json.load(sys.stdin)
inner = order.get("text")
if inner is None:
    token = jwt.JWT(header={"alg": "HS256", "typ": "JWT"}, claims=order["claims"])
    token.make_signed_token(jwk.JWK(kty="oct", k=base64url_encode(order["secret"])))
    inner = token.serialize()
if order["header"]["alg"] == "dir":
    key = jwk.JWK(kty="oct", k=base64url_encode(order["secret"][:32]))
else:
    key = jwk.JWK(**order["jwk"])
# Also those that a gateway has to refuse.
algorithms = jwe.default_allowed_algs + ["RSA1_5"]
token = jwe.JWE(inner.encode(), protected=json.dumps(order["header"]), algs=algorithms)
token.add_recipient(key)
print(token.serialize(compact=True))
