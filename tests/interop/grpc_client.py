"""A gRPC client with grpcio.

Reads {"target": "127.0.0.1:1", "ca": "ca.pem" or null, "calls": [{"method": "/a/B", "kind": "unary" | "stream" | "chat",
"token": "..." or null}]} from stdin, prints a list of {"messages": [...], "code": "...", "details": "...", "trailers": {...}}.
"""

import json
import queue
import sys

import grpc

order = json.load(sys.stdin)
if order["ca"]:
    with open(order["ca"], "rb") as file:
        credentials = grpc.ssl_channel_credentials(file.read())
    channel = grpc.secure_channel(order["target"], credentials)
else:
    channel = grpc.insecure_channel(order["target"])


def chatting(words, call):
    """Says a word, and the next one when the one before was answered."""
    for word in words:
        yield word
        call["answered"].get(timeout=10)


def make(call):
    metadata = [("authorization", f"Bearer {call['token']}")] if call["token"] else []
    options = {"metadata": metadata, "timeout": 20}
    messages = []
    try:
        if call["kind"] == "unary":
            answer, made = channel.unary_unary(call["method"]).with_call(b"hello", **options)
            messages.append(answer)
        elif call["kind"] == "stream":
            made = channel.unary_stream(call["method"])(b"", **options)
            for message in made:
                messages.append(message)
        else:
            call["answered"] = queue.Queue()
            made = channel.stream_stream(call["method"])(chatting([b"one", b"two"], call), **options)
            for message in made:
                messages.append(message)
                call["answered"].put(None)
    except grpc.RpcError as error:
        made = error
    return {
        "messages": [message.decode() for message in messages],
        "code": made.code().name,
        "details": made.details() or "",
        "trailers": {key: value for key, value in made.trailing_metadata() or () if isinstance(value, str)},
    }


print(json.dumps([make(call) for call in order["calls"]]))
