#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of archive.py on this host."""
import sys

import agent
import archive

sys.exit(agent.main(archive.run))
