# SPDX-License-Identifier: Apache-2.0
"""A server's side of HTTP/2 by hand (RFC 9113, RFC 7541), as little as a call of gRPC takes, and what breaks it."""
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def fields(*pairs):
    """Literals that are not indexed."""
    return b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in pairs)


HEAD = frame(HEADERS, END_HEADERS, 1, fields((b":status", b"200"), (b"content-type", b"application/grpc")))
FINE = frame(HEADERS, END_HEADERS | END_STREAM, 1, fields((b"grpc-status", b"0")))
UNIMPLEMENTED = frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(
    (b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"12")))


def body(message):
    return frame(DATA, 0, 1, b"\0" + struct.pack(">I", len(message)) + message)


def read(connection, size):
    data = b""
    while len(data) < size:
        if not (piece := connection.recv(size - len(data))):
            raise OSError("it is gone")
        data += piece
    return data


def request(connection):
    """The client's preface, and the message of its call on stream 1."""
    if read(connection, len(PREFACE)) != PREFACE:
        raise OSError("no preface")
    connection.sendall(frame(SETTINGS, 0, 0))
    message = b""
    while True:
        head = read(connection, 9)
        kind, flags = head[3], head[4]
        payload = read(connection, struct.unpack(">I", b"\0" + head[:3])[0])
        if kind == SETTINGS and not flags & 1:
            connection.sendall(frame(SETTINGS, 1, 0))
        if kind == DATA:
            message += payload
            if flags & END_STREAM:
                return message[5:]
