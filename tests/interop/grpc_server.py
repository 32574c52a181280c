"""A gRPC server with grpcio, of messages that are plain text: prints its port, then serves until standard input ends.

demo.Live/Say says back, Count counts for ever, Chat says back one by one, Fail fails with a status of its own.
"""

import sys
import time
from concurrent import futures

import grpc


def say(request, context):
    caller = dict(context.invocation_metadata()).get("x-scopegate-app", "nobody")
    context.set_trailing_metadata((("x-said-by", "the upstream"),))
    return request + b" from " + caller.encode()


def count(request, context):
    for number in range(1_000_000):
        if not context.is_active():
            return
        yield str(number).encode()
        time.sleep(0.1)


def chat(requests, context):
    for request in requests:
        yield b"you said " + request


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today, 100% sure")


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
handlers = {
    "Say": grpc.unary_unary_rpc_method_handler(say),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("demo.Live", handlers),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0)
