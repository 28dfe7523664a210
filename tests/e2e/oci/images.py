# SPDX-License-Identifier: Apache-2.0
"""What the tests of `husk image` share: images made here, registries, a store of one's own."""
import contextlib
import gzip
import hashlib
import http.server
import io
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tarfile
import tempfile
import threading
import time
import warnings

import e2e

OCI = "application/vnd.oci.image."
INDEX, MANIFEST, CONFIG = OCI + "index.v1+json", OCI + "manifest.v1+json", OCI + "config.v1+json"
LAYER = OCI + "layer.v1.tar"
FAILED = 125


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def tar_of(members):
    """A layer. Each member is (name, contents) or (name, contents, a dict of TarInfo's attributes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, contents, *more in members:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = 0o644, 1000
            for key, value in (more[0] if more else {}).items():
                setattr(info, key, value)
            info.size = len(contents)
            tar.addfile(info, io.BytesIO(contents))
    return out.getvalue()


def directory(name):
    return (name, b"", {"type": tarfile.DIRTYPE, "mode": 0o755})


def random_layer(name, size, seed=0):
    """A layer that does not compress."""
    data = hashlib.shake_128(f"{name}{seed}".encode()).digest(size)
    return tar_of([(name, data)])


class Image:
    """An image in memory: blobs by digest. compress: what is done with each layer, and its media type's end."""

    def __init__(self, layers, config=None, compress=(lambda tar: gzip.compress(tar, 1, mtime=0), "+gzip"),
                 architecture="amd64", **manifest):
        self.blobs = {}
        self.diff_ids = [digest_of(tar) for tar in layers]
        described = [self.put(compress[0](tar), LAYER + compress[1]) for tar in layers]
        self.config = json.dumps({"os": "linux", "architecture": architecture, "config": config or {},
                                  "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}).encode()
        self.layers = described
        self.document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.put(self.config, CONFIG),
                         "layers": described, **manifest}
        self.manifest = self.put(json.dumps(self.document).encode(), MANIFEST)

    def put(self, data, media):
        self.blobs[digest_of(data)] = data
        return {"mediaType": media, "digest": digest_of(data), "size": len(data)}


def layout(path, entries, blobs):
    """An OCI layout with an index of the entries."""
    (path / "blobs/sha256").mkdir(parents=True)
    for digest, data in blobs.items():
        (path / "blobs/sha256" / digest.split(":")[1]).write_bytes(data)
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return path


def named(image, name):
    return {**image.manifest, "annotations": {"org.opencontainers.image.ref.name": name}}


def multi(*images):
    """An index, as a blob, of images for several platforms; blobs of all."""
    entries = [{**image.manifest, "platform": {"os": "linux", "architecture": json.loads(image.config)["architecture"]}}
               for image in images]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    blobs = {digest: data for image in images for digest, data in image.blobs.items()}
    return index, blobs


class Store:
    """`husk image` with a store of its own."""

    def __init__(self, path=None):
        self.top = pathlib.Path(tempfile.mkdtemp(prefix="husk-image-"))
        self.path = pathlib.Path(path) if path else self.top / "store"
        self.environment = {name: value for name, value in os.environ.items()
                            if name not in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR") and not name.endswith("_proxy")}
        self.environment.update(HUSK_STORE=str(self.path), HOME=str(self.top),
                                HUSK_STATE=str(self.top / "containers"), HUSK_PODS=str(self.top / "pods"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top, ignore_errors=True)

    def start(self, *words, **more):
        return subprocess.Popen([e2e.HUSK, "image", *map(str, words)], env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, **more})

    def run(self, *words, status=0, data=None, prefix=()):
        done = subprocess.run([*prefix, e2e.HUSK, "image", *map(str, words)], env=self.environment, input=data or b"",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=e2e.PATIENCE_S, check=False)
        if done.returncode != status:
            raise e2e.Failure(f"{words}: exit status {done.returncode}, not {status}\n{done.stdout.decode()}"
                              f"{done.stderr.decode()}")
        return done

    def fails(self, *words, text, **more):
        """One line of error, with the text in it, and nothing half-made behind it."""
        error = self.run(*words, "-q", status=FAILED, **more).stderr.decode()
        e2e.require(error.count("\n") == 1 and error.startswith("husk: "), f"not one line: {error!r}")
        e2e.require(text in error, f"{error!r} lacks {text!r}")
        self.whole()
        return error

    def json(self, *words, **more):
        return json.loads(self.run(*words, "--json", "-q", **more).stdout)

    def names(self):
        return [image["name"] for image in self.json("ls")["images"]]

    def files(self, kind):
        where = self.path / kind
        return sorted(file.name for file in where.iterdir()) if where.exists() else []

    def layer(self, diff_id):
        return self.path / "layers" / (diff_id.split(":")[1] + ".erofs")

    def whole(self):
        """Every image has all of its parts, and there is nothing else."""
        needed, blobs = set(), set()
        for name in self.names():
            record = self.json("inspect", name)
            blobs |= {record["id"][7:], record["manifest"][7:]}
            for layer in record["layers"]:
                needed.add(layer["diff_id"][7:] + ".erofs")
                e2e.require(self.layer(layer["diff_id"]).stat().st_size == layer["store_bytes"], f"{layer}: size")
        for kind, wanted in (("layers", needed), ("blobs", blobs), ("new", set()), ("partial", set())):
            e2e.require(set(self.files(kind)) == wanted, f"{kind}: {self.files(kind)}, not {wanted}")

    def empty(self):
        self.whole()
        e2e.require(not self.names(), f"images: {self.names()}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(top):
    """A certificate authority and a certificate of localhost: paths of (ca, certificate, key)."""
    if not shutil.which("openssl"):
        e2e.skip("openssl is not installed")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
               "-keyout", top / "key.pem", "-out", top / "cert.pem", "-subj", "/CN=husk test", "-addext",
               "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, timeout=e2e.PATIENCE_S)
    return top / "cert.pem", top / "cert.pem", top / "key.pem"


def bcrypt(user, password):
    """A line of docker-registry's htpasswd file, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import crypt  # pylint: disable=import-outside-toplevel,deprecated-module
            return f"{user}:{crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH))}"
        except (ImportError, AttributeError, OSError):
            return None


@contextlib.contextmanager
def docker_registry(top, tls=None, htpasswd=None):
    """Debian's docker-registry on loopback, on a directory of `top`. Yields host:port."""
    if not shutil.which("docker-registry"):
        e2e.skip("docker-registry is not installed")
    port = free_port()
    lines = ["version: 0.1", "log: {level: error}", "storage:", f"  filesystem: {{rootdirectory: {top}/registry}}",
             "http:", f"  addr: 127.0.0.1:{port}"]
    if tls:
        lines.append(f"  tls: {{certificate: {tls[1]}, key: {tls[2]}}}")
    if htpasswd:
        lines.append(f"auth: {{htpasswd: {{realm: test, path: {htpasswd}}}}}")
    (top / "registry.yml").write_text("\n".join(lines) + "\n")
    with open(top / "registry.log", "ab") as log:
        process = subprocess.Popen(["docker-registry", "serve", top / "registry.yml"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + e2e.PATIENCE_S
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline or process.poll() is not None:
                raise e2e.Failure("docker-registry does not start: " + (top / "registry.log").read_text())
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def push(top, repository, tag, image, index=None):
    """Into the directory of a registry that runs on `top`, as its storage has it: no client is needed."""
    store = top / "registry/docker/registry/v2"
    manifests = {image.manifest["digest"]: image.blobs[image.manifest["digest"]]} if image else {}
    blobs = dict(image.blobs) if image else {}
    head = image.manifest["digest"] if image else None
    if index:
        data, more = index
        blobs.update(more)
        blobs[digest_of(data)] = data
        head = digest_of(data)
        manifests[head] = data
        for entry in json.loads(data)["manifests"]:
            manifests[entry["digest"]] = blobs[entry["digest"]]
    home = store / "repositories" / repository
    for digest, data in blobs.items():
        digits = digest.split(":")[1]
        path = store / "blobs/sha256" / digits[:2] / digits
        path.mkdir(parents=True, exist_ok=True)
        (path / "data").write_bytes(data)
        kind = home / "_manifests/revisions/sha256" if digest in manifests else home / "_layers/sha256"
        (kind / digits).mkdir(parents=True, exist_ok=True)
        (kind / digits / "link").write_text(digest)
    tags = home / "_manifests/tags" / tag
    for link in (tags / "current", tags / "index/sha256" / head.split(":")[1]):
        link.mkdir(parents=True, exist_ok=True)
        (link / "link").write_text(head)


class Liar(http.server.ThreadingHTTPServer):
    """A registry in Python whose answers a test can change. `hook(handler)`: True when it has answered itself."""

    daemon_threads = True

    def __init__(self, image, hook=None, tls=None):
        super().__init__(("127.0.0.1", 0), LiarHandler)
        self.image, self.hook, self.seen = image, hook or (lambda handler: False), []
        self.scheme = "https" if tls else "http"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[2])
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.name = f"{self.host}/t/img:1"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        pass  # clients that give up are what is tested

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class LiarHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def answer(self, status, data=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):  # pylint: disable=invalid-name
        self.server.seen.append((self.path, dict(self.headers)))
        image = self.server.image
        last = self.path.split("/")[-1]
        if self.server.hook(self):
            return
        if self.path == "/v2/":
            self.answer(200, b"{}")
        elif last == "1":
            self.answer(200, image.blobs[image.manifest["digest"]], Content_Type=MANIFEST)
        elif last not in image.blobs:
            self.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown to\\nthe liar"}]}')
        else:
            self.send_blob(image.blobs[last])

    def send_blob(self, data, cut=None):
        """With ranges. cut: the connection ends after so many bytes."""
        start = 0
        if self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:] if cut is None else data[start:start + cut])
        if cut is not None:
            self.close_connection = True


@contextlib.contextmanager
def mounted(path):
    """A layer, mounted by this kernel; skips where that is not possible."""
    where = tempfile.mkdtemp(prefix="husk-mount-")
    try:
        done = subprocess.run(["mount", "-t", "erofs", "-o", "loop,ro", path, where], check=False,
                              stderr=subprocess.PIPE, timeout=e2e.PATIENCE_S)
        if done.returncode:
            yield None
            return
        try:
            yield pathlib.Path(where)
        finally:
            subprocess.run(["umount", where], check=True, timeout=e2e.PATIENCE_S)
    finally:
        os.rmdir(where)


@contextlib.contextmanager
def stacked(lower):
    """Mounted layers, the lowest first, as one read-only overlayfs; None where that is not possible."""
    where = tempfile.mkdtemp(prefix="husk-overlay-")
    try:
        option = "lowerdir=" + ":".join(map(str, reversed(lower)))
        done = subprocess.run(["mount", "-t", "overlay", "-o", option, "overlay", where], check=False,
                              stderr=subprocess.PIPE, timeout=e2e.PATIENCE_S)
        if done.returncode:
            yield None
            return
        try:
            yield pathlib.Path(where)
        finally:
            subprocess.run(["umount", where], check=True, timeout=e2e.PATIENCE_S)
    finally:
        os.rmdir(where)
