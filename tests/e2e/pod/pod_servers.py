# SPDX-License-Identifier: Apache-2.0
"""Servers inside the network of a pod whose machine is this host, polite ones and hostile ones; and what speaks with
them, the processes of husk-probe."""
import contextlib
import ctypes
import http.server
import os
import pathlib
import socket
import ssl
import threading

from native_pod import require

PROBE = os.environ.get("HUSK_PROBE", "")


class Web(http.server.BaseHTTPRequestHandler):
    """/far leads to another host, /again to itself, /N to the one before and at last to /good; /plain and /secure
    lead to the other of two servers, and at last to /good. The body is long."""

    def do_GET(self):  # pylint: disable=invalid-name
        number = self.path[1:]
        self.server.seen.append(self.path)
        where = {"/far": "http://192.0.2.1/", "/again": "again", "/1": "/good",
                 "/plain": "http://localhost:8081/secure", "/secure": "https://localhost:8080/good"}.get(
                     self.path, str(int(number) - 1) if number.isdigit() else None)
        self.send_response(302 if where else 200 if self.path in ("/good", "/hook") else 404)
        if where:
            self.send_header("Location", where)
        self.send_header("Content-Length", str(1 << 20))
        self.end_headers()
        try:
            self.wfile.write(b"x" * (1 << 20))
        except OSError:
            self.server.seen.append("closed")

    def log_message(self, *_arguments):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    """Clients that go, or that speak something else, are no news."""

    def handle_error(self, request, client_address):
        pass


def network_of(pod):
    """The network namespace of a pod: that of a process which the agent, the machine here, has started."""
    children = f"/proc/{(pid := pod.seen()['machine_pid'])}/task/{pid}/children"
    with open(children, encoding="ascii") as file:
        spaces = [os.open(f"/proc/{child}/ns/net", os.O_RDONLY) for child in file.read().split()]
    own = os.stat("/proc/self/ns/net").st_ino
    found = [space for space in spaces if os.fstat(space).st_ino != own]
    for space in spaces:
        if space not in found[:1]:
            os.close(space)
    require(found, "the pod has no network of its own")
    return found[0]


@contextlib.contextmanager
def inside(pod):
    """This thread is in the pod's network meanwhile, and so are the sockets that it makes."""
    own, libc = os.open("/proc/thread-self/ns/net", os.O_RDONLY), ctypes.CDLL(None, use_errno=True)
    pods = network_of(pod)
    try:
        require(libc.setns(pods, 0) == 0, "setns")
        try:
            yield
        finally:
            require(libc.setns(own, 0) == 0, "setns back")
    finally:
        os.close(own)
        os.close(pods)


@contextlib.contextmanager
def web_server(pod, context=None, port=8080):
    """In the pod's network, on its loopback; with TLS if there is a context. What it was asked for is in `seen`."""
    with inside(pod):
        server = Quiet(("127.0.0.1", port), Web)
    with server:
        server.seen = []
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def raw_server(pod, port, serve):
    """serve(connection) in a thread for each connection; an OSError ends it, and so does the end of the server."""
    with inside(pod):
        listener = socket.create_server(("127.0.0.1", port))
    stop, threads, connections = threading.Event(), [], []

    def handle(connection):
        with connection, contextlib.suppress(OSError):
            serve(connection)
            while connection.recv(65536):
                pass

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=handle, args=(connection,)))
                threads[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield
    finally:
        stop.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
        listener.close()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


def server_context(certificate, key, most=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.maximum_version = most
    return context


def shake_hands(context, connection):
    """The server's side of TLS by hand: (the connection in memory, send), where send(bytes) sends what has been
    written to it, and those bytes as they are."""
    come, gone = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(come, gone, server_side=True)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            connection.sendall(gone.read())
            if not (data := connection.recv(65536)):
                raise OSError("it is gone") from None
            come.write(data)
    return tls, lambda raw=b"": connection.sendall(gone.read() + raw)


def speakers():
    """Processes of husk-probe, of this build, that have not ended."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.path.realpath(os.readlink(entry / "exe")) == os.path.realpath(PROBE):
                    found.append(int(entry.name))
    return found
