# SPDX-License-Identifier: Apache-2.0
"""docs/api/openapi.yaml as a check: is an answer one that the document allows?

OpenAPI 3.0's schemas are JSON Schema but for `nullable`, which is translated when the file is read.
Every answer that is checked is counted, so that a test can ask which ones were never seen.
"""
import json
import os
import pathlib
import re

import e2e

try:
    import jsonschema
    import yaml
except ImportError as missing:
    e2e.skip(f"{missing.name} is not there (Debian: python3-yaml, python3-jsonschema)")

DOCUMENT = pathlib.Path(os.environ.get(
    "OPENAPI", pathlib.Path(__file__).resolve().parents[3] / "docs/api/openapi.yaml"))
VERBS = ("get", "put", "patch", "delete", "post")


class Breach(Exception):
    """An answer that the document does not allow."""


def translate(node):
    """JSON Schema of an OpenAPI schema: nullable becomes a second possibility."""
    if isinstance(node, list):
        return [translate(item) for item in node]
    if not isinstance(node, dict):
        return node
    result = {key: translate(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True and None not in node.get("enum", ()):
        return {"anyOf": [{"type": "null"}, result]}
    return result


class Contract:
    def __init__(self, path=DOCUMENT, unknown=(400,), failure="Fault"):
        self.raw = yaml.safe_load(pathlib.Path(path).read_text(encoding="utf-8"))
        self.schemas = {"components": translate(self.raw["components"])}
        self.paths = []
        for template, item in self.raw["paths"].items():
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            self.paths.append((template, re.compile(f"{pattern}/?"), item))
        self.seen = set()
        # How what is not in it is refused: by these, as this response.
        self.unknown, self.failure = unknown, failure

    def operations(self):
        """(verb, template, operation) of all of them."""
        for template, _, item in self.paths:
            for verb in VERBS:
                if verb in item:
                    yield verb.upper(), template, item[verb]

    def find(self, verb, path):
        for template, pattern, item in self.paths:
            if pattern.fullmatch(path.split("?")[0]):
                return template, item.get(verb.lower())
        return None, None

    def resolve(self, node):
        while "$ref" in node:
            target = self.raw
            for word in node["$ref"].removeprefix("#/").split("/"):
                target = target[word]
            node = target
        return node

    def request_schema(self, operation):
        """Of the body in the document's own words; None where none is described."""
        body = self.resolve(operation.get("requestBody", {}))
        schema = body.get("content", {}).get("application/json", {}).get("schema")
        return self.resolve(schema) if schema else None

    def validate(self, schema, value):
        """The first thing that is wrong, as text, or None."""
        validator = jsonschema.Draft7Validator({**translate(schema), **self.schemas})
        for error in validator.iter_errors(value):
            where = "/".join(str(word) for word in error.absolute_path)
            return f"{where}: {error.message}" if where else error.message
        return None

    def check(self, verb, path, answer):
        """Raise Breach unless the document describes this answer of this request."""
        what = f"{verb} {path}: {answer.status}"
        template, operation = self.find(verb, path)
        if operation:
            responses = operation["responses"]
            name = str(answer.status) if str(answer.status) in responses or answer.status < 400 else "default"
            if name not in responses:
                raise Breach(f"{what} is none of {', '.join(responses)}: {answer.text!r}")
            response = self.resolve(responses[name])
            self.seen.add((verb, template, name))
        elif answer.status in self.unknown:
            response = self.raw["components"]["responses"][self.failure]
        else:
            raise Breach(f"{what}, though there is no such operation")
        self.check_body(what, response.get("content"), answer)

    def check_body(self, what, content, answer):
        length = answer.headers.get("Content-Length")
        if not content:
            if answer.body or length not in (None, "0"):
                raise Breach(f"{what} has a body: {answer.text!r}")
            return
        streamed = answer.headers.get("Transfer-Encoding") == "chunked"
        if not streamed and (length is None or int(length) != len(answer.body)):
            raise Breach(f"{what} has {len(answer.body)} bytes and a Content-Length of {length}")
        kind = answer.headers.get("Content-Type", "").split(";")[0].strip()
        if kind not in content:
            raise Breach(f"{what} is {kind or 'of no type'}, not {', '.join(content)}")
        value = answer.text
        if kind == "application/json":
            try:
                value = json.loads(answer.body)
            except ValueError as error:
                raise Breach(f"{what} is not JSON ({error}): {answer.text!r}") from None
        wrong = self.validate(content[kind]["schema"], value)
        if wrong:
            raise Breach(f"{what}: {wrong}")

    def unseen(self):
        """What the document describes and no checked answer was."""
        return sorted(f"{verb} {template}: {status}"
                      for verb, template, operation in self.operations()
                      for status in operation["responses"]
                      if (verb, template, status) not in self.seen)
