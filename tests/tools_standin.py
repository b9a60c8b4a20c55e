#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A program that stands in for checkpatch, sparse, spatch and b4's check commands in tests of reviewbot.tools.

`tools_standin.py WHAT [FILE ...]`: it complains of every line with the word BAD, in the form of the tool WHAT, or
misbehaves as WHAT says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def bad(name: str) -> list[tuple[int, int]]:
    """Line and column of every BAD in a file, from 1."""
    with open(name, encoding="utf-8") as file:
        return [(n, line.index("BAD") + 1) for n, line in enumerate(file, 1) if "BAD" in line]


def main(what: str, *words: str) -> int:
    """The exit status."""
    if what == "gcc" and any(word.startswith("-") for word in words):
        print("usage: tools_standin.py WHAT [FILE ...]", file=sys.stderr)
        return 2
    if what == "gcc":
        for name in words:
            for line, column in bad(name):
                print(f"{name}:{line}:{column}: warning: BAD on line {line} [-Wbad]", file=sys.stderr)
    elif what == "build":  # as make does: what has not changed since is not said again
        stamp = ".stamp"
        seen = os.stat(stamp).st_mtime_ns if os.path.exists(stamp) else 0
        for name in sorted(os.listdir("mm")):
            if os.stat(f"mm/{name}").st_mtime_ns > seen:
                for line, column in bad(f"mm/{name}"):
                    print(f"mm/{name}:{line}:{column}: warning: BAD")
        with open(stamp, "w", encoding="utf-8"):
            os.utime(stamp)
    elif what == "absolute":
        for name in words:
            for line, column in bad(name):
                print(f"{os.path.abspath(name)}:{line}:{column}: error: see {os.path.abspath(name)}")
        print("/etc/passwd:1:1: error: is none of the tree's")
        print("../../etc/passwd:1:1: error: nor is this")
    elif what == "spatch":
        for name in words:
            for line, column in bad(name):
                print(f"{name}:{line}:{column - 1}-{column + 2}: WARNING opportunity for GOOD")
    elif what == "checkpatch":
        mail = sys.stdin.read().split("\n")
        for number, text in enumerate(mail, 1):
            if "BAD" in text:
                print(f"-:{number}: WARNING:BAD_WORD: a bad word")
        print(f"-:{len(mail) - 1}: ERROR:MISSING_WORD: a good word is missing")
        return 1
    elif what == "echo":
        print(json.dumps([{"status": "warn", "summary": sys.stdin.read(), "details": json.dumps(dict(os.environ))}]))
    elif what == "b4":
        print(sys.stdin.read().count("BAD"), file=sys.stderr)
        print(words[0])
    elif what == "pwd":
        print(json.dumps({"status": "fail", "summary": f"{os.getcwd()} {' '.join(words)}"}))
    elif what == "hang":
        child = subprocess.Popen(["sleep", "600"])
        with open(words[0], "w", encoding="utf-8") as file:
            file.write(f"{os.getpid()} {child.pid}")
        time.sleep(600)
    elif what == "linger":
        subprocess.Popen(["sleep", "600"])
        print("mm/a.c:1:1: error: said before it went")
    elif what == "flood":
        while True:
            sys.stdout.write("mm/a.c:1:1: error: again and again and again and again\n" * 1000)
    elif what == "many":
        for n in range(5000):
            letters = "".join(
                chr(97 + n // 26**place % 26) for place in range(3)
            )  # a number would not make a difference
            print(f"mm/a.c:1:1: warning: sort {letters}")
    elif what == "fail":
        print("cannot find its data", file=sys.stderr)
        return 3
    elif what == "abort":
        os.abort()
    elif what == "print":
        print("\n".join(words).replace("\\n", "\n"))
    elif what == "list":
        for top, _, names in os.walk("."):
            for name in sorted(names):
                print(f"mm/a.c:1:1: warning: {os.path.relpath(os.path.join(top, name))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
