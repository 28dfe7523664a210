#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server of gRPC's own library with grpc.health.v1.Health, on an inherited socket's network: says READY, ends with
its standard input. Services: "" and "web" are SERVING, "sick" is NOT_SERVING, "gone" is an error.

    grpc_server.py PORT
"""
import sys
from concurrent import futures

import grpc


def check(request, context):
    service = request[2:].decode() if request else ""
    if service == "gone":
        context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service")
    return b"\x08\x02" if service == "sick" else b"\x08\x01"


def main():
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}  # messages stay bytes
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),))
    if not server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}"):
        sys.exit("the port is taken")
    server.start()
    print("READY", flush=True)
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()
