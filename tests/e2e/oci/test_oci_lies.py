#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""husk image pull from a registry that lies, breaks, redirects, and asks for passwords it should not have."""
import base64
import json

import e2e
import images
from images import Image, Liar, Store, random_layer, tar_of

IMAGE = Image([random_layer("a", 300000), tar_of([("b", b"b")])])
LAYER = IMAGE.layers[0]["digest"]
SECRET = "s3cret-word"


def with_auth(store, host, *, user="alice"):
    path = store.top / "auth.json"
    path.write_text(json.dumps({"auths": {host: {"auth": base64.b64encode(f"{user}:{SECRET}".encode()).decode()}}}))
    return "--auth-file", path


def lie(hook, text, image=IMAGE):
    with Store() as store, Liar(image, hook) as liar:
        store.fails("pull", liar.name, text=text)
        store.empty()


def answer_for(digest, data, status=200, **headers):
    def hook(handler):
        if not handler.path.endswith(digest):
            return False
        handler.answer(status, data, **headers)
        return True
    return hook


def test_truth():
    with Store() as store, Liar(IMAGE) as liar:
        store.run("pull", liar.name)
        store.whole()


def test_wrong_contents():
    data = IMAGE.blobs[LAYER]
    lie(answer_for(LAYER, data[:-1] + b"x"), "is not what the registry gave")
    lie(answer_for(LAYER, data[:-1]), "is not what the registry gave")
    lie(answer_for(LAYER, data + b"x" * 100000), "longer than it should be")
    lie(answer_for(LAYER, b""), "is not what the registry gave")
    config = IMAGE.document["config"]
    lie(answer_for(config["digest"], IMAGE.config[:-1] + b" "), "is not what the registry gave")
    lie(answer_for(config["digest"], IMAGE.config + b" "), "longer than it should be")


def test_wrong_manifests():
    good = IMAGE.blobs[IMAGE.manifest["digest"]]
    for data, text in ((b"{", "JSON"), (b"{}", "neither"), (b'{"schemaVersion":1,"fsLayers":[]}', "schema 1"),
                       (b" " * (5 << 20), "longer"), (b"[" * 1000, "nested"),
                       (b'{"schemaVersion":2,"manifests":[],"layers":[]}', "both")):
        lie(answer_for("/1", data, Content_Type=images.MANIFEST), text)
    lie(answer_for("/1", good, Content_Type=images.INDEX), "contradict")
    lie(answer_for("/1", good, Docker_Content_Digest="sha256:" + "0" * 64), "is not what the registry gave")
    with Store() as store, Liar(IMAGE, answer_for("sha256:" + "0" * 64, good, Content_Type=images.MANIFEST)) as liar:
        store.fails("pull", f"{liar.host}/t/img@sha256:{'0' * 64}", text="is not what the registry gave")
        store.empty()


def test_wrong_diff_id():
    other = Image([tar_of([("a", b"1")])])
    config = json.dumps({"os": "linux", "architecture": "amd64",
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}}).encode()
    other.document["config"] = other.put(config, images.CONFIG)
    other.manifest = other.put(json.dumps(other.document).encode(), images.MANIFEST)
    lie(None, "not the layer that the configuration names", other)


def test_statuses():
    lie(answer_for("/1", b'{"errors":[{"code":"DENIED","message":"go\\u001b[31m away\\n"}]}', 403), "go?[31m away?")
    lie(answer_for(LAYER, b"<html>" * 2000, 404), "is not in the registry")
    lie(answer_for("/1", b"", 418), "418")
    lie(answer_for(LAYER, b"", 401, WWW_Authenticate='Digest realm="x"'), "does not let us in")


def test_broken_connections_go_on():
    """Each answer ends early: the download goes on where it was."""
    def hook(handler):
        if not handler.path.endswith(LAYER):
            return False
        handler.send_blob(IMAGE.blobs[LAYER], cut=90000)
        return True
    with Store() as store, Liar(IMAGE, hook) as liar:
        store.run("pull", liar.name)
        ranges = [headers.get("Range") for path, headers in liar.seen if path.endswith(LAYER)]
        e2e.require(ranges == [None, "bytes=90000-", "bytes=180000-", "bytes=270000-"], f"{ranges}")
        store.whole()


def test_servers_without_ranges():
    tries = []

    def hook(handler):
        if not handler.path.endswith(LAYER):
            return False
        tries.append(1)
        data = IMAGE.blobs[LAYER]
        if len(tries) == 1:
            handler.send_blob(data, cut=1000)
        else:
            handler.answer(200, data)
        return True
    with Store() as store, Liar(IMAGE, hook) as liar:
        store.run("pull", liar.name)
        e2e.require(len(tries) == 2, f"{tries}")
        store.whole()


def test_wrong_ranges():
    def hook(handler):
        if not handler.path.endswith(LAYER):
            return False
        if not handler.headers.get("Range"):
            handler.send_blob(IMAGE.blobs[LAYER], cut=1000)
        else:
            handler.answer(206, IMAGE.blobs[LAYER], Content_Range="bytes 7-299999/300000")
        return True
    lie(hook, "another range")


def test_passing_failures_pass():
    count = {}

    def hook(handler):
        count[handler.path] = count.get(handler.path, 0) + 1
        if count[handler.path] > 1:
            return False
        handler.answer(503 if "blobs" in handler.path else 429, b"", Retry_After="0")
        return True
    with Store() as store, Liar(IMAGE, hook) as liar:
        store.run("pull", liar.name)
        store.whole()


def redirect_layer(target):
    def hook(handler):
        if "/blobs/" not in handler.path:
            return False
        handler.answer(307, b"", Location=target(handler))
        return True
    return hook


def test_redirects_carry_no_password():
    def ask(handler):
        if handler.headers.get("Authorization"):
            return redirect_layer(lambda h: f"{elsewhere.scheme}://{elsewhere.host}/x/{h.path}")(handler)
        handler.answer(401, b"", WWW_Authenticate='Basic realm="x"')
        return True
    with Store() as store, Liar(IMAGE) as elsewhere, Liar(IMAGE, ask) as liar:
        store.run("pull", *with_auth(store, liar.host), liar.name)
        e2e.require(elsewhere.seen, "nobody was redirected")
        for path, headers in elsewhere.seen:
            e2e.require("Authorization" not in headers, f"{path}: {headers}")
        store.whole()


def test_redirects_that_lead_nowhere():
    lie(redirect_layer(lambda h: h.path), "again and again")
    lie(redirect_layer(lambda h: "file:///etc/passwd"), "")
    lie(redirect_layer(lambda h: "gopher://127.0.0.1/"), "")


def test_no_way_from_tls_to_none():
    with Store() as store:
        tls = images.certificate(store.top)
        with Liar(IMAGE) as elsewhere:
            hook = redirect_layer(lambda h: f"http://{elsewhere.host}{h.path}")
            with Liar(IMAGE, hook, tls) as liar:
                store.fails("pull", "--ca-file", tls[0], liar.name, text="without TLS")
                e2e.require(not elsewhere.seen, f"{elsewhere.seen}")
                store.empty()


def token_hook(realm, token="tok-en-1"):
    def hook(handler):
        if handler.path.startswith("/token"):
            handler.answer(200, json.dumps({"token": token}).encode())
        elif handler.path == "/v2/" or handler.headers.get("Authorization") == f"Bearer {token}":
            return False
        else:
            handler.answer(401, b"", WWW_Authenticate=f'Bearer realm="{realm(handler)}",service="the service",scope="x"')
        return True
    return hook


def test_tokens():
    with Store() as store, Liar(IMAGE, token_hook(lambda h: f"http://{h.server.host}/token")) as liar:
        store.run("pull", *with_auth(store, liar.host), liar.name)
        asked = [(path, headers) for path, headers in liar.seen if path.startswith("/token")]
        e2e.require(len(asked) == 1, f"{asked}")
        path, headers = asked[0]
        e2e.require("service=the%20service" in path or "service=the+service" in path, path)
        e2e.require("scope=repository%3at%2fimg%3apull" in path.lower() or "scope=repository:t/img:pull" in path, path)
        basic = base64.b64encode(f"alice:{SECRET}".encode()).decode()
        e2e.require(headers.get("Authorization") == f"Basic {basic}", "the token server knows who asks")
        for path, headers in liar.seen:
            if not path.startswith("/token"):
                e2e.require(headers.get("Authorization") in (None, "Bearer tok-en-1"), f"{path}: {headers}")
        store.whole()


def test_token_servers_that_must_not_be_asked():
    for realm in ("http://token.example.org/t", "ftp://127.0.0.1/t", "file:///etc/passwd", "nonsense"):
        with Store() as store, Liar(IMAGE, token_hook(lambda h, realm=realm: realm)) as liar:
            error = store.fails("pull", *with_auth(store, liar.host), liar.name, text="token server")
            e2e.require(SECRET not in error, error)
            store.empty()


def test_useless_token_servers():
    for data, text in ((b"{}", "no usable token"), (b'{"token":"a\\r\\nX: y"}', "no usable token"), (b"x" * 100000, "too long"),
                       (b"nonsense", "JSON")):
        def hook(handler, data=data):
            if not handler.path.startswith("/token"):
                return token_hook(lambda h: f"http://{h.server.host}/token")(handler)
            handler.answer(200, data)
            return True
        lie(hook, text)
    with Store() as store, Liar(IMAGE, token_hook(lambda h: f"http://{h.server.host}/token", "x")) as liar:
        def refuse(handler):
            handler.answer(401, b"", WWW_Authenticate=f'Bearer realm="http://{liar.host}/token"')
            return True
        liar.hook = refuse
        error = store.fails("pull", *with_auth(store, liar.host), liar.name, text="does not let us in")
        e2e.require(SECRET not in error, error)
        store.empty()


def test_floods_of_headers():
    def hook(handler):
        if not handler.path.endswith("/1"):
            return False
        handler.send_response(200)
        for number in range(4000):
            handler.send_header(f"X-{number}", "y" * 100)
        handler.end_headers()
        return True
    lie(hook, "cannot be asked")


if __name__ == "__main__":
    e2e.main(globals())
