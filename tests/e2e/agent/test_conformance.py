#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tables of conformance.py on this host."""
import sys

import agent
import conformance

sys.exit(agent.main(conformance.run))
