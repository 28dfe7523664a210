#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pods on virtual functions, as far as that goes without a card: what is refused, with one line each, and that
nothing is left of it. With one: tests/e2e/linux/pod_vf.py."""
import json
import pathlib
import shutil
import tempfile

from network import Pod, Refused, identity, main, require, run

STATE = pathlib.Path("/run/husk/network")


def refused(says, mode="vf:up0", **pod):
    one = Pod("one", mode=mode, up=False, **pod)
    try:
        one.up()
    except Refused as error:
        require(all(word in str(error) for word in says) and "\n" not in str(error), f"{error}: not all of {says}")
    else:
        require(False, f"{mode} was not refused")
    require(not list(one.directory.iterdir()), "a record is left")
    one.down()


def no_card():
    refused(("network", "is no name"), mode="vf:")
    refused(("network", "is no name"), mode="vf:../up0")
    refused(("absent0", "no such physical function", "husk vf list"), mode="vf:absent0")
    refused(("0000:7f:1f.7", "no such PCI device"), mode="vf:0000:7f:1f.7")
    refused(("up0", "not of a PCI device"))


def what_a_card_cannot():
    port = {"containers": [{"ports": [{"containerPort": 80, "hostPort": 8080}]}]}
    refused(("spec.containers", "no port of the host"), spec=port)
    for name, value in (("kubernetes.io/ingress-bandwidth", "1M"), ("husk.dev/isolated", "true")):
        refused((f"metadata.annotations[{name}]",), metadata={"annotations": {name: value}})


def a_record_of_a_stranger():
    """It names a function that the pod has not claimed: nothing is done to that."""
    pod = Pod("one", mode="vf:up0", up=False)
    record = {"version": 1, "id": identity("one"), "mode": "vf:up0",
              "vf": {"pf": "0000:01:00.0", "name": "up0", "function": "0000:01:10.0", "index": 0,
                     "before": {"spoofchk": False}}}
    path = pod.directory / "network.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    try:
        pod.call("check")
    except Refused as error:
        require("0000:01:10.0" in str(error), error)
    else:
        require(False, "the function is there")
    pod.down()
    record["vf"]["function"] = "../../etc"
    path.write_text(json.dumps(record), encoding="utf-8")
    try:
        pod.down()
    except Refused as error:
        require("network.json" in str(error), error)
    else:
        require(False, "no address was taken for one")


def a_claim_alone():
    """Killed between the claims and the record that names them: they go by the id."""
    Pod("other", mode="bridge").down()  # makes the directories
    pod = Pod("one", mode="vf:up0", up=False)
    for part, name in (("vfs", "0000:01:10.0"), ("addresses", "10.9.0.100")):
        (STATE / part / name).write_text(identity("one") + "\n", encoding="utf-8")
    (STATE / "vfs/0000:01:10.1").write_text(identity("other") + "\n", encoding="utf-8")
    (pod.directory / "network.json").write_text(
        json.dumps({"version": 1, "id": identity("one"), "mode": "vf:up0"}), encoding="utf-8")
    pod.down()
    left = [path.name for part in ("vfs", "addresses") for path in (STATE / part).iterdir()]
    require(left == ["0000:01:10.1"], left)
    run("rm", str(STATE / "vfs/0000:01:10.1"))


def a_driver_that_is_gone():
    """The pod can be removed by force: it is said what stays where it is, and how it gets home."""
    address = "0000:01:10.0"
    bus = pathlib.Path(tempfile.mkdtemp(prefix="bus-"))
    for part in (f"devices/{address}", "drivers/vfio-pci"):
        (bus / part).mkdir(parents=True)
    (bus / "devices" / address / "driver").symlink_to(bus / "drivers/vfio-pci")
    Pod("other", mode="bridge").down()  # makes the directories
    run("mount", "--bind", str(bus), "/sys/bus/pci")
    try:
        pod = Pod("one", mode="vf:up0", up=False)
        noted = pathlib.Path("/run/husk/vf") / address
        noted.parent.mkdir(mode=0o700, exist_ok=True)
        noted.write_text("husk-vf 1\ndriver igbvf\noverride -\n", encoding="utf-8")
        for part, name in (("vfs", address), ("addresses", "10.9.0.100")):
            (STATE / part / name).write_text(identity("one") + "\n", encoding="utf-8")
        record = {"version": 1, "id": identity("one"), "mode": "vf:up0",
                  "vf": {"pf": "0000:01:00.0", "name": "up0", "function": address, "index": 0, "before": {}}}
        (pod.directory / "network.json").write_text(json.dumps(record), encoding="utf-8")
        try:
            pod.down()
        except Refused as error:
            require(address in str(error) and "igbvf is missing: load its module" in str(error), error)
        else:
            require(False, "it went back to a driver that is not there")
        require((STATE / "vfs" / address).exists() and (pod.directory / "network.json").exists(), "it was forgotten")
        said = run(*pod.command("abandon")).stderr
        require(address in said and "igbvf is missing" in said, said)
        left = [path.name for part in ("vfs", "addresses", "pods") for path in (STATE / part).iterdir()]
        require(not left and not (pod.directory / "network.json").exists(), left)
        require(noted.exists(), "husk vf unbind knows nothing of it")
        noted.unlink()
    finally:
        run("umount", "/sys/bus/pci")
        shutil.rmtree(bus)


if __name__ == "__main__":
    main([no_card, what_a_card_cannot, a_record_of_a_stranger, a_claim_alone,
          a_driver_that_is_gone])
