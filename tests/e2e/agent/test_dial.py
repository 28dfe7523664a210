#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of dial.py on this host."""
import sys

import agent
import dial

sys.exit(agent.main(dial.run))
