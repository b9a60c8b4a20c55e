# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m reviewbot`, for where the script is not on the PATH. Nothing else belongs here."""

import sys

from reviewbot.cli import main

sys.exit(main())
