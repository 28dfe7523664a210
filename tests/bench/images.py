#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""images.py HUSK RUNS: pulling and converting one image, beside skopeo and umoci, from the same registry.

The image is made of Debian packages that are installed here, in several layers, gzip-compressed, and served by
Debian's docker-registry on loopback. Both sides end with layers that a machine could use: husk with EROFS images
in its store, umoci with an unpacked root directory. Figures are wall-clock and CPU seconds, with their spread.
"""
import gzip
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / "e2e"),
                str(pathlib.Path(__file__).resolve().parent.parent / "e2e/oci")]
import images  # noqa: E402  pylint: disable=wrong-import-position

LAYERS = (("base", ["base-files", "bash", "coreutils", "libc6", "libc-bin", "perl-base", "util-linux", "dpkg", "apt"]),
          ("server", ["docker-registry"]),
          ("data", ["tzdata", "python3-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "git", "busybox-static"]))


def layer_of(packages, path):
    """A tar archive of the files of packages, by their real paths."""
    listed = subprocess.run(["dpkg-query", "-L", *packages], check=False, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL).stdout.decode().split("\n")
    names = {os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name)) for name in listed
             if name.startswith("/") and os.path.lexists(name) and name != "/."}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(names):
            tar.add(name, recursive=False)
    return path.read_bytes(), len(names)


def measure(*commands):
    """Wall-clock and CPU seconds of commands one after the other."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for command in commands:
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=600)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def show(name, figures):
    for unit, values in zip(("wall", "CPU"), zip(*figures)):
        values = sorted(values)
        print(f"{name:22} {unit:4} median {statistics.median(values):.3f} s, {values[0]:.3f} to {values[-1]:.3f}, "
              f"{len(values)} runs")


def tree_bytes(path):
    return int(subprocess.run(["du", "-sB1", path], check=True, stdout=subprocess.PIPE).stdout.split()[0])


def main():
    husk, runs = sys.argv[1], int(sys.argv[2])
    peers = shutil.which("skopeo") and shutil.which("umoci")
    if not shutil.which("docker-registry") or not shutil.which("dpkg-query"):
        print("skipped: images: docker-registry is not installed")
        return
    if not peers:
        print("skipped: peers: skopeo and umoci are not both installed")
    with tempfile.TemporaryDirectory(prefix="husk-bench-") as name:
        top = pathlib.Path(name)
        made = [layer_of(packages, top / "layer.tar") for _, packages in LAYERS]
        image = images.Image([tar for tar, _ in made], compress=(lambda tar: gzip.compress(tar, 6, mtime=0), "+gzip"))
        print(f"{'image':22} {len(made)} layers, {sum(count for _, count in made)} files, "
              f"{sum(len(tar) for tar, _ in made) >> 20} MiB, {sum(layer['size'] for layer in image.layers) >> 20} MiB "
              "compressed")
        with images.docker_registry(top) as host:
            images.push(top, "bench", "1", image)
            ours, theirs, fetches = [], [], []
            for _ in range(runs):
                store, layout, bundle = top / "store", top / "layout", top / "bundle"
                ours.append(measure([husk, "image", "pull", "-q", "--store", store, f"{host}/bench:1"]))
                kept = tree_bytes(store)
                shutil.rmtree(store)
                if not peers:
                    continue
                fetch = ["skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{host}/bench:1", f"oci:{layout}:1"]
                fetches.append(measure(fetch))
                unpack = measure(["umoci", "unpack", "--image", f"{layout}:1", bundle])
                theirs.append(tuple(map(sum, zip(fetches[-1], unpack))))
                unpacked = tree_bytes(bundle), tree_bytes(layout)
                shutil.rmtree(layout)
                shutil.rmtree(bundle)
        show("husk image pull", ours)
        if peers:
            show("skopeo + umoci", theirs)
            show("of that, skopeo copy", fetches)
        print(f"{'husk store':22} {kept >> 20} MiB")
        if peers:
            print(f"{'skopeo + umoci':22} {unpacked[0] >> 20} MiB unpacked, {unpacked[1] >> 20} MiB of layers")


if __name__ == "__main__":
    main()
