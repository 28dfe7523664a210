#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of users.py on this host."""
import sys

import agent
import users

sys.exit(agent.main(users.run))
