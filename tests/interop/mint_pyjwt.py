"""Signs a token with PyJWT.

Reads {"alg": "...", "key": "<text secret or PEM>", "claims": {...}, "headers": {...}} from stdin, prints the token.
The header has alg and typ = "JWT"; "headers" adds to it, and "typ": null leaves typ out.
"""

import json
import sys

import jwt

order = json.load(sys.stdin)
print(jwt.encode(order["claims"], order["key"], algorithm=order["alg"], headers=order.get("headers")))
