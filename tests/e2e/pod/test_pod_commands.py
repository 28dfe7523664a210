#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `husk pod` on this host: the real supervisor of pods and the real agent, without a machine and
without a network of the pod's own."""
import sys

import podbox
import pod_commands
import native_box  # pylint: disable=wrong-import-order

if __name__ == "__main__":
    sys.exit(native_box.main("pod-commands", lambda **environment: podbox.PodBox(["--network", "none"], **environment),
                             pod_commands.all_cases))
