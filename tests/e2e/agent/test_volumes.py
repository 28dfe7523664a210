#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of volumes.py on this host."""
import sys

import agent
import volumes

sys.exit(agent.main(volumes.run))
