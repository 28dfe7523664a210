#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a pod under its supervisor, with the real agent on this host."""
import sys

from native_pod import Pod, container, main, require


def two_run_and_exit(host):
    with Pod(host, container("a", "echo one; exit 0"), container("b", "echo two >&2; exit 0")) as pod:
        status = pod.end()
        require(status["phase"] == "Succeeded", status)
        for name in "ab":
            ended = pod.of(name, status)["state"]["terminated"]
            require((ended["exitCode"], ended["reason"]) == (0, "Completed"), ended)
        require(pod.log("a") == [("stdout", "F", "one")], pod.log("a"))
        require(pod.log("b") == [("stderr", "F", "two")], pod.log("b"))
        require(pod.seen()["status"] == status, "the record says something else")


CASES = [two_run_and_exit]

if __name__ == "__main__":
    sys.exit(main(CASES))
