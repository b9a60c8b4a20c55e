# SPDX-License-Identifier: GPL-2.0-or-later
"""A small git repository with files like the kernel's, written here, for the tests of hooks.

Belongs here: making it, committing to it, calling programs in it without anybody's configuration. Needs git.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PROGRAM = Path(sys.executable).with_name("reviewbot")

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 0\n"
WALK = """\
// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

static int walk(struct mm_struct *mm)
{
	int ret;

	ret = range_first(mm);
	return ret;
}

static int drop(struct mm_struct *mm)
{
	down_write(&mm->mmap_sem);
	return 0;
}
"""
BAD_LINE = "\tprefetchw(&mm->mmap_sem);\n"
GOOD_LINE = "\trange_next(mm);\n"


class Done(NamedTuple):
    code: int
    out: str
    err: str


class World:
    """A repository; its commits have the dates that they are given."""

    def __init__(self, top: Path) -> None:
        self.top = top
        home = top.parent / "nobody"
        home.mkdir(exist_ok=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "XDG_", "B4_"))},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
        }
        self.home = home

    def run(self, *words: str, given: str = "", more: Mapping[str, str] | None = None, cwd: Path | None = None) -> Done:
        """A program in the repository; what it says on stdout and stderr."""
        done = subprocess.run(
            words,
            cwd=cwd or self.top,
            env={**self.environment, **(more or {})},
            input=given.encode(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def git(self, *words: str, given: str = "") -> str:
        """What a git command prints. Raises AssertionError where it fails."""
        done = self.run("git", *words, given=given)
        assert done.code == 0, f"git {' '.join(words)}: {done.err}"
        return done.out.strip()

    def write(self, path: str, text: str) -> None:
        """A file of the work tree."""
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def insert(self, path: str, line: str, before: str = "\treturn ret;\n") -> None:
        """A line into a file of the work tree."""
        text = (self.top / path).read_text(encoding="utf-8")
        assert before in text
        self.write(path, text.replace(before, line + before, 1))

    def commit(self, title: str, body: str = "") -> str:
        """Everything in the work tree as a commit, without hooks; its full hash."""
        self.git("add", "-A")
        message = f"{title}\n\n{body or 'Because it is needed.'}\n\nSigned-off-by: Ada Ranger <ada@example.org>\n"
        self.git("commit", "-q", "--no-verify", "-F", "-", given=message)
        return self.git("rev-parse", "HEAD")

    def change(self, title: str, line: str, path: str = "mm/walk.c", body: str = "") -> str:
        """A commit that inserts a line."""
        self.insert(path, line)
        return self.commit(title, body)

    def hook(self, name: str, script: str) -> Path:
        """Install a hook."""
        file = self.top / ".git" / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return file


def make_world(top: Path, *, empty: bool = False) -> World:
    """A repository with two files and one commit, on branch master; `empty`: without the commit."""
    top.mkdir()
    world = World(top)
    world.git("init", "-q", "--initial-branch=master")
    world.git("config", "user.name", "Ada Ranger")
    world.git("config", "user.email", "ada@example.org")
    world.write("Makefile", MAKEFILE)
    world.write("mm/walk.c", WALK)
    world.write("mm/other.c", WALK.replace("walk", "other"))
    if not empty:
        world.commit("mm: the first files")
    return world
