#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands for containers on this host: the real supervisor and the real agent, without a machine."""
import resource
import sys

import box
import commands
import native_box


def make(**environment):
    # Where root may not raise its own limits, those of an image's default cannot be had.
    limits = [word for name, number in (("nproc", resource.RLIMIT_NPROC), ("nofile", resource.RLIMIT_NOFILE))
              for word in ("--ulimit", f"{name}={min(1000, resource.getrlimit(number)[1] % (1 << 31))}")]
    return box.Box(limits, **environment)


if __name__ == "__main__":
    sys.exit(native_box.main("commands", make, commands.all_cases))
