#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of escape.py on this host."""
import sys

import agent
import escape

sys.exit(agent.main(escape.run))
