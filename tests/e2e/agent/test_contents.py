#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of contents.py on this host."""
import sys

import agent
import contents

sys.exit(agent.main(contents.run))
