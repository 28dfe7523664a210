# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 client over a unix socket. Every answer is held against the contract."""
import http.client
import json
import socket
import time

import e2e
from contract import Breach, Contract

CONTRACT = Contract()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=e2e.PATIENCE_S)
        self.path = str(path)

    def connect(self):
        self.sock = connect(self.path, self.timeout)


def connect(path, timeout=None):
    """Waits its turn where many others want to be served."""
    timeout = timeout or e2e.PATIENCE_S
    deadline = time.monotonic() + timeout
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(timeout)
    while True:
        try:
            made.connect(str(path))
            return made
        except BlockingIOError:  # a unix socket does not wait for room in the queue
            if time.monotonic() > deadline:
                made.close()
                raise TimeoutError("no room in the queue of connections") from None
            time.sleep(0.01)
        except OSError:
            made.close()
            raise


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def fault(self):
        return self.json["fault_message"]


class Client:
    """One connection, kept alive. Bodies are JSON values, or bytes to send as they are."""

    def __init__(self, path, contract=CONTRACT):
        self.connection = UnixConnection(path)
        self.contract = contract

    def close(self):
        self.connection.close()

    def request(self, verb, path, body=None, headers=None):
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            self.connection.request(verb, path, body, sent)
            answer = Answer(self.connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise e2e.Failure(f"{verb} {path}: {type(error).__name__}: {error}") from None
        try:
            self.contract.check(verb, path, answer)
        except Breach as breach:
            raise e2e.Failure(f"contract: {breach}") from None
        return answer

    def expect(self, status, verb, path, body=None, headers=None):
        answer = self.request(verb, path, body, headers)
        if answer.status != status:
            raise e2e.Failure(f"{verb} {path} {body!r}: {answer.status} {answer.text!r}, not {status}")
        return answer

    def get(self, path, **more):
        return self.expect(200, "GET", path, **more).json

    def put(self, path, body):
        self.expect(204, "PUT", path, body)

    def patch(self, path, body):
        self.expect(204, "PATCH", path, body)

    def action(self, name):
        self.put("/actions", {"action_type": name})

    def refused(self, verb, path, body=None, *words):
        """A 400 whose fault has all these words in it."""
        fault = self.expect(400, verb, path, body).fault
        for word in words:
            if word.lower() not in fault.lower():
                raise e2e.Failure(f"{verb} {path} {body!r}: {word!r} is not in {fault!r}")
        return fault
