#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of defaults.py on this host."""
import os
import pathlib
import shutil
import sys

import agent
import defaults


def run(place, report):
    shutil.copy(os.environ["HUSK_SPEC_CALLS"], pathlib.Path(place.root) / "bin/calls")
    for name in ("hostname", "df", "tty", "wc", "rm"):
        path = pathlib.Path(place.root) / "bin" / name
        if not path.is_symlink():
            path.symlink_to("busybox")
    defaults.run(place, report)


sys.exit(agent.main(run))
