#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every operation of the contract: each member of each request missing, unknown, ill-typed, out of range.

The cases come from docs/api/openapi.yaml: for each request a body that is right, in which one thing at a
time is made wrong. The fault must name that member, and the configuration must stay as it was.
"""
import copy
import json
import re

import e2e
import serve
from client import CONTRACT
from serve import Server

LIMITS = {"bandwidth": {"size": 1 << 20, "one_time_burst": 4096, "refill_time": 100},
          "ops": {"size": 500, "one_time_burst": 1, "refill_time": 1000}}
CPUID = {"leaf": "0x7", "subleaf": "0x0", "flags": 1,
         "modifiers": [{"register": "ebx", "bitmap": "0bxxxxxxxxxxxxxxxxxxxxxxxx0xxxxxxx"}]}
INTEGER_MAX = (1 << 63) - 1
WRONG = {"string": (7, True, {}, []), "integer": ("7", True, 1.5, {}, []), "boolean": ("true", 1, {}),
         "object": ("x", 7, [1]), "array": ("x", 7, {})}


def good_bodies(server):
    """For each PUT and PATCH: the path, a body with every member that can be given, whether post-boot."""
    disk = server.disk("disk", "D")
    return {
        ("PUT", "/machine-config"): ("/machine-config", {
            "vcpu_count": 2, "mem_size_mib": 64, "smt": False, "track_dirty_pages": False,
            "huge_pages": "None", "cpu_template": "None"}, False),
        ("PATCH", "/machine-config"): ("/machine-config", {
            "vcpu_count": 2, "mem_size_mib": 66, "smt": False, "track_dirty_pages": False,
            "huge_pages": "None", "cpu_template": "None"}, False),
        ("PUT", "/cpu-config"): ("/cpu-config", {
            "kvm_capabilities": [], "cpuid_modifiers": [CPUID],
            "msr_modifiers": [{"addr": "0x10a", "bitmap": "0b" + "x" * 64}], "reg_modifiers": [],
            "vcpu_features": []}, False),
        ("PUT", "/boot-source"): ("/boot-source", {**serve.boot_source(), "initrd_path": disk}, False),
        ("PUT", "/drives/{drive_id}"): ("/drives/one", serve.drive(
            "one", disk, partuuid="0eaa91a0-01", cache_type="Unsafe", io_engine="Sync", rate_limiter=LIMITS,
            socket=None), False),
        ("PATCH", "/drives/{drive_id}"): ("/drives/one", {
            "drive_id": "one", "path_on_host": disk, "rate_limiter": LIMITS}, True),
        ("PUT", "/vsock"): ("/vsock", {
            "guest_cid": 3, "uds_path": str(server.directory / "v.sock"), "vsock_id": "v"}, False),
        ("PUT", "/entropy"): ("/entropy", {"rate_limiter": {"bandwidth": LIMITS["bandwidth"]}}, False),
        ("PUT", "/serial"): ("/serial", {
            "serial_out_path": str(server.directory / "serial"), "rate_limiter": LIMITS["bandwidth"]}, False),
        ("PUT", "/logger"): ("/logger", {
            "log_path": str(server.directory / "log"), "level": "Info", "show_level": True,
            "show_log_origin": False, "module": "api"}, False),
        ("PUT", "/metrics"): ("/metrics", {
            "metrics_path": str(server.directory / "metrics"), "emit_id": True, "properties": {"a": "b"}}, False),
        ("PUT", "/network-interfaces/{iface_id}"): ("/network-interfaces/eth0", {
            "iface_id": "eth0", "host_dev_name": "vm0", "guest_mac": "02:00:00:00:00:07", "mtu": 1400,
            "rx_rate_limiter": LIMITS, "tx_rate_limiter": LIMITS}, False),
        ("PATCH", "/network-interfaces/{iface_id}"): ("/network-interfaces/eth0", {
            "iface_id": "eth0", "rx_rate_limiter": LIMITS, "tx_rate_limiter": LIMITS}, True),
        ("PUT", "/vfio/{vfio_id}"): ("/vfio/card", {
            "vfio_id": "card", "address": "ffff:ff:1f.7", "iommu": "Group"}, False),
        ("PUT", "/actions"): ("/actions", {"action_type": "InstanceStart"}, False),
        ("PATCH", "/vm"): ("/vm", {"state": "Resumed"}, True),
    }


def plain(schema):
    """A schema without references and allOf, with what the outer one adds."""
    schema = CONTRACT.resolve(schema)
    for part in schema.get("allOf", ()):
        schema = {**plain(part), **{key: value for key, value in schema.items() if key != "allOf"}}
    return schema


def broken(schema, body, path=()):
    """(body, what must be named) of everything that can be wrong in an object, inner ones included."""
    schema = plain(schema)
    for name in schema.get("required", ()):
        yield {key: value for key, value in body.items() if key != name}, name
    if schema.get("additionalProperties") is False:
        yield {**body, "no_such_member": 1}, "no_such_member"
    for name, value in body.items():
        member = plain(schema["properties"][name])
        for wrong in wrong_values(member):
            # The parser stops at a number that no integer type holds, and tells line and column.
            parsed = not isinstance(wrong, int) or wrong <= INTEGER_MAX
            yield {**body, name: wrong}, name if parsed else "line 1 column"
        if isinstance(value, dict) and member.get("properties"):
            for inner, word in broken(member, value, (*path, name)):
                yield {**body, name: inner}, word
        if isinstance(value, list) and value and plain(member["items"]).get("type") == "object":
            for inner, word in broken(member["items"], value[0], (*path, name)):
                yield {**body, name: [inner]}, word


def wrong_values(schema):
    yield from WRONG[schema["type"]]
    if not schema.get("nullable"):
        yield None
    if "enum" in schema:
        yield "Nonsense"
    if schema["type"] == "integer":
        yield schema["minimum"] - 1
        if "maximum" in schema:
            yield schema["maximum"] + 1
        yield 1 << 70
    if "pattern" in schema:
        yield "!"
    if schema["type"] == "string" and schema.get("minLength"):
        yield ""


def optional(schema, body):
    """Bodies in which a member that may be null is, or that may be absent is."""
    schema = plain(schema)
    for name in body:
        if name in schema.get("required", ()):
            continue
        yield {key: value for key, value in body.items() if key != name}
        if plain(schema["properties"][name]).get("nullable"):
            yield {**body, name: None}


def requests(server):
    goods = good_bodies(server)
    for verb, template, operation in CONTRACT.operations():
        schema = CONTRACT.request_schema(operation)
        if not schema or "unsupported" in operation["tags"] or (verb, template) not in goods:
            continue
        path, body, after_boot = goods[verb, template]
        yield verb, path, body, schema, after_boot


def refuse_all(server, after_boot):
    faults, count = [], 0
    before = server.api.get("/vm/config")
    for verb, path, body, schema, when in requests(server):
        if when != after_boot:
            continue
        for wrong, word in broken(schema, body):
            if wrong == {} and not schema.get("required") and verb == "PUT":
                continue
            count += 1
            answer = server.api.request(verb, path, wrong)
            if answer.status != 400:
                faults.append(f"{verb} {path} {json.dumps(wrong)}: {answer.status}, not 400 ({word})")
            elif word not in answer.fault:
                faults.append(f"{verb} {path} {json.dumps(wrong)}: {word} is not named: {answer.fault}")
    e2e.require(server.api.get("/vm/config") == before, "a refused request changed the configuration")
    e2e.require(count > 10, "there were hardly any cases")
    if faults:
        raise e2e.Failure(f"{len(faults)} of {count}, the first:\n" + "\n".join(faults[:20]))


def test_the_examples_are_right():
    with Server() as server:
        for verb, path, body, schema, _ in requests(server):
            wrong = CONTRACT.validate(schema, body)
            e2e.require(wrong is None, f"{verb} {path}: {wrong}")
        given = {(verb, template) for verb, template in good_bodies(server)}
        wanted = {(verb, template) for verb, template, operation in CONTRACT.operations()
                  if CONTRACT.request_schema(operation) and "unsupported" not in operation["tags"]}
        e2e.require(given == wanted, f"without an example: {wanted - given}")


def test_wrong_members_before_boot():
    with Server() as server:
        refuse_all(server, False)


def test_wrong_members_after_boot():
    with Server() as server:
        server.api.put("/drives/one", serve.drive("one", server.disk("disk", "D")))
        server.start(args="tick")
        # The interface is not there: what is wrong with the body must still come first.
        refuse_all(server, True)
        server.ticks(2)


def test_optional_members():
    """null is as good as absent, and neither is an error."""
    with Server() as server:
        for verb, path, body, schema, after_boot in requests(server):
            if after_boot or path in ("/actions", "/metrics") or path.startswith("/network") or \
                    (path.startswith("/vfio") and e2e.TRANSPORT != "pci"):
                continue
            for fewer in optional(schema, copy.deepcopy(body)):
                if path.startswith("/drives") and not fewer.get("path_on_host"):
                    server.api.refused(verb, path, fewer, "path_on_host")
                else:
                    server.api.expect(204, verb, path, fewer)


def test_not_json():
    with Server() as server:
        bodies = (b"{", b"nonsense", b"[]", b"7", b'"x"', b"null", b'{"vcpu_count": 1, "mem_size_mib": 64',
                  b'{"vcpu_count": 1, "mem_size_mib": 64} trailing', b"\xff\xfe", b"\0",
                  b'{"vcpu_count": 1, "vcpu_count": 2, "mem_size_mib": 64}', b"[" * 5000,
                  b'{"a":' * 5000, b'{"vcpu_count": 1e2, "mem_size_mib": 64}', b'{"vcpu_count": NaN}')
        for body in bodies:
            server.api.refused("PUT", "/machine-config", body)
        for verb, path, _, _, after_boot in requests(server):
            if not after_boot:
                server.api.refused(verb, path, b"{")
                server.api.refused(verb, path, b"[]")
                server.api.refused(verb, path)
        e2e.require(server.api.get("/machine-config")["vcpu_count"] == 1, "a bad body was taken")


def test_ids():
    with Server() as server:
        disk = server.disk("disk", "D")
        for name in ("bad-id", "bad.id", "a b", "a%20b", "%00", "..", "é"):
            path = "/drives/" + "".join(c if c.isascii() and c > " " else "%C3%A9" for c in name)
            server.api.refused("PUT", path, serve.drive(name, disk))
            server.api.refused("PUT", "/drives/a", serve.drive(name, disk))
        server.api.refused("PUT", "/drives/a", serve.drive("b", disk), "a", "b")
        server.api.refused("PUT", "/drives", serve.drive("a", disk))
        server.api.refused("PUT", "/drives/", serve.drive("a", disk))
        server.api.refused("PUT", "/drives/a/b", serve.drive("a", disk))
        server.api.refused("PUT", "/network-interfaces/a", {"iface_id": "b", "host_dev_name": "t"}, "a", "b")
        server.api.refused("PUT", "/network-interfaces/a-b", {"iface_id": "a-b", "host_dev_name": "t"})
        server.api.refused("PUT", "/vfio/a", {"vfio_id": "b", "address": "01:10.0"}, "a", "b")
        server.api.refused("PUT", "/vfio/a-b", {"vfio_id": "a-b", "address": "01:10.0"})
        server.api.refused("PUT", "/drives/" + "a" * 4000, serve.drive("a" * 4000, disk))
        e2e.require(server.api.get("/vm/config")["drives"] == [], "a bad id was taken")
        server.api.put("/drives/A_z0", serve.drive("A_z0", disk))


def test_paths_that_are_not_there():
    with Server() as server:
        for verb in ("GET", "PUT", "PATCH", "DELETE"):
            body = {} if verb in ("PUT", "PATCH") else None
            for path in ("/nothing", "/vm/nothing", "/machine-config/x", "/mmds/nothing", "/snapshot",
                         "/snapshot/nothing", "/balloon/nothing", "/hotplug", "/%2e%2e", "/vm/config/x",
                         "/actions/InstanceStart"):
                server.api.refused(verb, path, body)


def test_odd_bytes():
    """In a fault they are quoted so that it stays JSON."""
    with Server() as server:
        for path in ("/%ff%fe", "/" + "%C3%A9" * 100, "/a%00b", "/%22%5c%0a", "/drives/%ff", "/x" * 3000):
            server.api.refused("GET", path)
        for path in ("\xc3\xa9" * 200, "\xed\xa0\x80", "\xff"):
            body = b'{"kernel_image_path": "/no/such/' + path.encode("latin-1") + b'"}'
            server.api.refused("PUT", "/boot-source", body)
            server.api.refused("PUT", "/boot-source", b'{"' + path.encode("latin-1") + b'": 1}')
        server.api.refused("PUT", "/boot-source", {"kernel_image_path": "/a\0b"})
        server.api.refused("PUT", "/boot-source", {"kernel_image_path": "/no/such/\"\\\n\x1b"})


def test_every_other_verb():
    """A verb that a path does not have is refused, and so are verbs that the API does not know."""
    with Server() as server:
        have = {(verb, template) for verb, template, _ in CONTRACT.operations()}
        for template, _, _ in CONTRACT.paths:
            path = re.sub(r"{\w+}", "a", template)
            for verb in ("GET", "PUT", "PATCH", "DELETE", "POST", "OPTIONS", "TRACE"):
                if (verb, template) not in have:
                    body = {} if verb in ("PUT", "PATCH", "POST") else None
                    answer = other_verb(server, verb, path, body)
                    e2e.require(answer in (400, 405, 501), f"{verb} {path}: {answer}")


def other_verb(server, verb, path, body):
    client = server.client()
    try:
        client.connection.request(verb, path, None if body is None else json.dumps(body))
        return client.connection.getresponse().status
    finally:
        client.close()


def test_get_with_a_body():
    with Server() as server:
        server.api.refused("GET", "/", b"{}")
        server.api.refused("GET", "/machine-config", {"vcpu_count": 1})


def test_unsupported():
    """Each answers at once, before and after boot, and says so rather than finding fault with the body."""
    bodies = {"/balloon": {"amount_mib": 1, "deflate_on_oom": True},
              "/mmds/config": {"network_interfaces": ["eth0"]},
              "/pmem/{id}": {"id": "a", "path_on_host": "/dev/null"},
              "/snapshot/create": {"mem_file_path": "m", "snapshot_path": "s"},
              "/snapshot/load": {"snapshot_path": "s", "mem_backend": {"backend_type": "File", "backend_path": "m"}},
              "/hotplug/memory": {"total_size_mib": 128}}
    with Server() as server:
        for boot in (False, True):
            if boot:
                server.start(args="tick")
            for verb, template, operation in CONTRACT.operations():
                if "unsupported" in operation["tags"]:
                    path = re.sub(r"{\w+}", "a", template)
                    body = bodies.get(template, {}) if verb in ("PUT", "PATCH") else None
                    fault = server.api.refused(verb, path, body)
                    e2e.require("not supported" in fault or "not found" in fault.lower(), f"{verb} {path}: {fault}")


def test_machine_config():
    with Server() as server:
        api = server.api
        default = api.get("/machine-config")
        e2e.require(default == {"vcpu_count": 1, "mem_size_mib": 128, "smt": False, "track_dirty_pages": False,
                                "huge_pages": "None"}, f"the defaults: {default}")
        api.put("/machine-config", {"vcpu_count": 4, "mem_size_mib": 64, "smt": True})
        api.patch("/machine-config", {"mem_size_mib": 65})
        found = api.get("/machine-config")
        e2e.require((found["vcpu_count"], found["mem_size_mib"], found["smt"]) == (4, 65, True), f"{found}")
        api.refused("PATCH", "/machine-config", {"huge_pages": "2M"}, "mem_size_mib")
        api.refused("PATCH", "/machine-config", {"vcpu_count": 3}, "vcpu_count")
        api.refused("PATCH", "/machine-config", {})
        api.put("/machine-config", {"vcpu_count": 1, "mem_size_mib": 64, "smt": True})
        api.put("/machine-config", {"vcpu_count": 3, "mem_size_mib": 64})
        e2e.require(api.get("/machine-config")["smt"] is False, "PUT did not reset what it does not name")


def test_drives():
    with Server() as server:
        api = server.api
        a, b = server.disk("a", "A", 10), server.disk("b", "B", 20)
        api.put("/drives/x", serve.drive("x", a, root=True))
        api.refused("PUT", "/drives/y", serve.drive("y", b, root=True), "root")
        api.put("/drives/x", serve.drive("x", b, root=True))
        api.put("/drives/y", serve.drive("y", a))
        # No longer the root device: another may be.
        api.put("/drives/x", serve.drive("x", b))
        api.put("/drives/y", serve.drive("y", a, root=True))
        api.refused("PUT", "/drives/z", serve.drive("z", "/no/such/file"), "/no/such/file")
        api.refused("PUT", "/drives/z", serve.drive("z", str(server.directory)))
        api.refused("PUT", "/drives/z", {"drive_id": "z", "is_root_device": False}, "path_on_host")
        api.refused("PUT", "/drives/z", {"drive_id": "z", "is_root_device": False, "socket": "s"}, "socket")
        found = {one["drive_id"]: one["path_on_host"] for one in api.get("/vm/config")["drives"]}
        e2e.require(found == {"x": b, "y": a}, f"{found}")
        server.configure(args="")
        api.action("InstanceStart")
        server.expect("disk 0: 10 sectors, rw, A")
        server.expect("disk 1: 20 sectors, rw, B")


def test_boot_source():
    with Server() as server:
        api = server.api
        api.refused("PUT", "/actions", {"action_type": "InstanceStart"})
        api.refused("PUT", "/boot-source", {"kernel_image_path": "/no/such/kernel"}, "/no/such/kernel")
        api.refused("PUT", "/boot-source", {**serve.boot_source(), "initrd_path": "/no/such/initrd"},
                    "/no/such/initrd")
        api.refused("PUT", "/boot-source", serve.boot_source(args="x" * 3000), "boot_args")
        api.refused("PUT", "/boot-source", serve.boot_source(args="a\nb"), "boot_args")
        junk = server.directory / "junk"
        junk.write_bytes(b"no kernel")
        api.put("/boot-source", {"kernel_image_path": str(junk)})
        api.refused("PUT", "/actions", {"action_type": "InstanceStart"}, "junk")
        e2e.require(api.get("/")["state"] == "Not started", "a failed start left another state")
        server.start(args="tick")
        server.ticks(1)


def test_vsock_and_entropy():
    with Server() as server:
        api = server.api
        for cid in (0, 1, 2, 1 << 32, -1):
            api.refused("PUT", "/vsock", {"guest_cid": cid, "uds_path": "v"}, "guest_cid")
        api.refused("PUT", "/vsock", {"guest_cid": 3, "uds_path": "v" * 200}, "uds_path")
        api.put("/vsock", {"guest_cid": 3, "uds_path": "v1.sock"})
        api.put("/vsock", {"guest_cid": 4, "uds_path": "v2.sock"})
        server.configure(args="")
        api.action("InstanceStart")
        server.expect("vsock: cid 4")
        server.expect("ready")
        e2e.require((server.directory / "v2.sock").is_socket(), "no socket where it was asked for")
        e2e.require(not (server.directory / "v1.sock").exists(), "a socket of a replaced device")


def test_nothing_is_unseen():
    """Together these tests saw every answer that the document describes."""
    with Server() as server:
        server.api.get("/version")
        server.api.expect(200, "GET", "/metrics", headers={"Accept": "text/plain"})
        server.start(args="tick")
        server.api.action("FlushMetrics")
        server.api.patch("/vm", {"state": "Resumed"})
        server.api.refused("DELETE", "/drives/none")
        server.api.refused("DELETE", "/vfio/none")
    missing = [what for what in CONTRACT.unseen()
               # GETs that cannot fail with a good request; the interfaces' successes are in test_api_sdk.py,
               # and those of drives after the start in test_api_states.py.
               if not what.startswith("GET ") and "/network-interfaces" not in what and
               # Only where there is a PCI bus; and a device to remove.
               what not in ("PUT /vfio/{vfio_id}: 204", "DELETE /vfio/{vfio_id}: 204") and
               what not in ("PATCH /drives/{drive_id}: 204", "DELETE /drives/{drive_id}: 204", "PUT /metrics: 204",
                                "PUT /cpu-config: 204")]
    e2e.require(not missing, f"never seen: {missing}")


serve.need_serve()
e2e.main(globals())
