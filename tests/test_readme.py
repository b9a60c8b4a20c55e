# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's transcripts are what the commands print.

Belongs here: nothing else. REVIEWBOT_GOLDEN=update rewrites them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n\$ ([^\n]+)\n(.*?)^```$", re.M | re.S)


def transcript(match: re.Match[str]) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", match[1]],
        cwd=ROOT,
        env={"PATH": path, "NO_COLOR": "1", "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout
    return f"```console\n$ {match[1]}\n{done.stdout}```"


def test_every_transcript_of_the_readme_is_what_the_command_prints() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) >= 5
    now = BLOCK.sub(transcript, text)
    if os.environ.get("REVIEWBOT_GOLDEN") == "update":
        README.write_text(now, encoding="utf-8")
    assert now == text
