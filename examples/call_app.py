"""Signs an app's own token and calls a gateway with it.

    pip install "PyJWT[crypto]"
    python call_app.py https://gateway.example.com

Asks for the path of the private key and for the app's id, in this order. Where they are set, these variables are taken
instead and nothing is asked:

    SCOPEGATE_PRIVATE_KEY_FILE   the path of the private key, or
    SCOPEGATE_PRIVATE_KEY        the key itself, in PEM; line breaks may be written as \\n
    SCOPEGATE_APP_ID             the app's id

Without an address it prints the token, which is good for nine minutes.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime

import jwt


def ask(question):
    """Asks on standard error, so that standard output holds the result alone."""
    print(question, end=" ", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer:
        sys.exit(f"\nno answer to: {question}")
    return answer


def private_key():
    text = os.environ.get("SCOPEGATE_PRIVATE_KEY")
    if text:
        # Many places where variables are set keep no line breaks.
        return text.strip().strip("\"'").replace("\\n", "\n")
    path = os.environ.get("SCOPEGATE_PRIVATE_KEY_FILE") or ask("Path of the private key:")
    with open(os.path.expanduser(path), encoding="ascii") as file:
        return file.read()


def app_token(app_id, key, now):
    claims = {
        "iss": app_id,
        "iat": now - 60,  # for a gateway whose clock is behind
        "exp": now + 540,  # ten minutes are the limit, and this clock may be ahead
    }
    return jwt.encode(claims, key, algorithm="RS256")


def get(url, token):
    """(status, the gateway's time, body)"""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        response = urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as refusal:
        response = refusal
    date = response.headers["Date"]
    return response.status, parsedate_to_datetime(date).timestamp() if date else None, response.read().decode()


def main():
    key = private_key()
    app_id = os.environ.get("SCOPEGATE_APP_ID") or ask("The app's id:")
    now = int(time.time())
    token = app_token(app_id, key, now)
    if len(sys.argv) < 2:
        print(token)
        return
    url = sys.argv[1].rstrip("/") + "/app"
    status, theirs, body = get(url, token)
    if status == 401 and theirs and abs(theirs - now) > 5:
        # This clock is wrong: once more, by the gateway's.
        status, _, body = get(url, app_token(app_id, key, int(theirs)))
    print(json.dumps({"status": status, "body": body}))
    if status != 200:
        sys.exit(1)


main()
