#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of lifecycle.py on this host."""
import sys

import agent
import lifecycle

sys.exit(agent.main(lifecycle.run))
