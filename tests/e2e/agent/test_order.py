#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of order.py on this host."""
import sys

import agent
import order

sys.exit(agent.main(order.run))
