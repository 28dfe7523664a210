# SPDX-License-Identifier: Apache-2.0
"""Which requests wait for which (husk/agent.h, "Order"): a container that is slow to be made, started or entered holds
up nobody else. Slowness is made from outside: a frozen cgroup, a stopped process."""
import os
import pathlib
import signal
import time

from agent import PATIENCE_S, Container, refused, require

SLEEP = "exec sleep 1000"


def agent_pid(place):
    """Natively the agent is a child of the program that made its namespaces."""
    pid = place.process.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else pid


class Frozen:
    """The cgroup of a container, of which the agent knows nothing."""

    def __init__(self, place, name):
        self.file = pathlib.Path(f"/proc/{agent_pid(place)}/root{place.cgroups}/{place.cgroup_name}/{name}/cgroup.freeze")

    def __enter__(self):
        self.file.write_text("1")

    def __exit__(self, *exc):
        if self.file.exists():
            self.file.write_text("0")


def unanswered(control, *numbers):
    """Everything that can be answered has been when this is."""
    control.call("list")
    early = [number for number in numbers if number in control.answers]
    require(not early, f"{early} were answered: {control.answers}")


def whole_life(place):
    with Container(place, None, "echo out; cat /no/such") as other:
        ended, out, err = other.finish()
        require((ended["status"], out) == (1, "out\n") and err, (ended, out, err))


def slow_start(place):
    control = place.control
    with Container(place, None, SLEEP) as container:
        with Frozen(place, container.name):
            start = control.begin("start", container=container.name)
            state = control.begin("state", container=container.name)
            whole_life(place)
            unanswered(control, start, state)
            # Over another connection it is the same container.
            second = place.new_control()
            stats = second.begin("stats", container=container.name)
            unanswered(second, stats)
        control.finish(start)
        require(control.finish(state)["status"] == "running", "the state was asked for too early")
        second.finish(stats)
        second.close()


def slow_exec(place):
    control = place.control
    process = {"args": ["/bin/echo", "x"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
    with Container(place, None, SLEEP) as container:
        container.start()
        with Frozen(place, container.name):
            number = control.begin("exec", container=container.name, process="slow", config=process)
            wait = control.begin("wait", container=container.name, process="slow")
            # The container is not busy, only that process is.
            require([item["process"] for item in container.state()["processes"]] == ["init", "slow"], "state")
            whole_life(place)
            unanswered(control, number, wait)
        require(control.finish(number)["pid"] > 1, "exec")
        require(control.finish(wait)["status"] == 0, "the wait was for something else")
        with Frozen(place, container.name):
            number = control.begin("exec", container=container.name, process="late", config=process)
            container.kill(9)  # is no affair of the exec's
            require(container.wait()["signal"] == 9, "the first process")
        refused("failed", control.finish, number)
        require([item["process"] for item in container.state()["processes"]] == ["init", "slow"], "something is left")


def too_slow(place):
    with Container(place, None, SLEEP) as container:
        with Frozen(place, container.name):
            error = refused("failed", container.start)
            require("in time" in str(error), error)
        require(container.wait()["signal"] == 9, "it lives")


class Filling:
    """The creation of a container, stopped in the middle of the filling of its volume."""

    count = 0

    def __init__(self, place, control):
        image = pathlib.Path(place.root) / "many"
        if not image.exists():
            image.mkdir()
            for number in range(4000):
                (image / str(number)).touch()
        for _ in range(50):
            Filling.count += 1
            self.name = f"filled{Filling.count}"
            control.call("volume.add", volume=self.name, tmpfs_bytes=16 << 20)
            before = self.children(place)
            mount = {"destination": "/many", "type": "bind", "source": f"/run/husk/volumes/{self.name}", "options": ["rbind"]}
            config = Container.config_of(place, {"mounts+": [mount]}, SLEEP)
            self.number = control.begin("create", container=self.name, config=config, fill=[self.name])
            deadline = time.monotonic() + PATIENCE_S
            while not (new := self.children(place) - before):
                require(time.monotonic() < deadline, "no process is made")
            self.pid = new.pop()
            try:
                os.kill(self.pid, signal.SIGSTOP)
                time.sleep(0.05)
                # It may have been too fast, or may not have begun to fill yet; both are fine unless it is ready.
                control.call("list")
                if self.number not in control.answers:
                    return
                os.kill(self.pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
            control.finish(self.number)
            control.call("delete", container=self.name, force=True)
            control.call("volume.remove", volume=self.name)
        require(False, "filling is too fast to be stopped")

    @staticmethod
    def children(place):
        pid = agent_pid(place)
        return {int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)


def slow_create(place):
    control = place.control
    filling = Filling(place, control)
    start = control.begin("start", container=filling.name)
    again = control.begin("create", container=filling.name, config={})
    require(filling.name in control.call("list")["containers"], "it is not listed")
    refused("state", control.call, "volume.remove", volume=filling.name)
    whole_life(place)
    unanswered(control, filling.number, start, again)
    filling.go_on()
    require(control.finish(filling.number)["pid"] > 1, "create")
    control.finish(start)
    refused("exists", control.finish, again)
    require(control.call("state", container=filling.name)["status"] == "running", "state")
    control.call("delete", container=filling.name, force=True)
    control.call("volume.remove", volume=filling.name)


def broken_off(place):
    """A delete with force does not wait; what waits finds the container gone."""
    control = place.control
    filling = Filling(place, control)
    start = control.begin("start", container=filling.name)
    unanswered(control, filling.number, start)
    control.call("delete", container=filling.name, force=True)
    refused("state", control.finish, filling.number)
    refused("not-found", control.finish, start)
    control.call("volume.remove", volume=filling.name)
    require(not control.call("list")["containers"], "containers are left")


def host_gone(place):
    """What is under way for a connection that ends is finished all the same."""
    second = place.new_control()
    filling = Filling(place, second)
    second.begin("start", container=filling.name)
    second.close()
    filling.go_on()
    state = place.control.call("state", container=filling.name)
    require(state["status"] == "created", "what waited was carried out")
    place.control.call("delete", container=filling.name, force=True)
    place.control.call("volume.remove", volume=filling.name)


def older_host(place):
    """With minor 1, a connection's requests are answered strictly in their order."""
    old = place.new_control(minor=1)
    with Container(place, None, SLEEP) as container:
        with Frozen(place, container.name):
            start = old.begin("start", container=container.name)
            number = old.begin("list")
            whole_life(place)  # over the other connection
        order = []
        while len(order) < 2:
            order += [message["id"] for message in [old.receive()] if "id" in message]
        require(order == [start, number], "another order")
    old.close()


def much_waits(place):
    """Requests that wait are bounded: those behind are not read; and all are answered at last."""
    second = place.new_control()
    with Container(place, None, SLEEP) as container:
        with Frozen(place, container.name):
            start = second.begin("start", container=container.name)
            second.socket.settimeout(1)
            numbers = []
            try:
                for _ in range(400):
                    numbers.append(second.last_id + 1)
                    second.begin("update", container=container.name, resources={"padding": "x" * 100000})
            except TimeoutError:
                numbers.pop()
            require(0 < len(numbers) < 400, f"{len(numbers)} were taken")
            whole_life(place)
        second.close()
        require(start == 1, "ids")
        place.control.call("state", container=container.name)


def run(place, report):
    for function in (slow_start, slow_exec, too_slow, slow_create, broken_off, host_gone, older_host, much_waits):
        report.case(function.__name__, function, place)
