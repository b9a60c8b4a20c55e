# SPDX-License-Identifier: GPL-2.0-or-later
"""What a hostile or giant patch costs: `reviewbot check` on each, as a process, with its wall time and memory.

Exit status 1 where one takes more than ten seconds or 500 MB, or ends otherwise than with 0, 1 or 2.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from common import REVIEWBOT, arguments, run, table

SECONDS, MEGABYTES = 10, 500

HEAD = "static vm_fault_t fill(struct vm_fault *vmf, struct mm_struct *mm)"


def patch(body: str) -> bytes:
    """A patch mail with that diff."""
    head = "From: A <a@example.org>\nSubject: [PATCH] x\nDate: Mon, 14 Sep 2026 10:12:00 +0200\nMessage-ID: <x@y>\n"
    return f"{head}\nText.\n---\n{body}-- \n2.49.0\n".encode()


def added(lines: Sequence[str], path: str = "drivers/misc/fill.c") -> bytes:
    """A patch that adds a file of these lines."""
    text = "".join(f"+{line}\n" for line in lines)
    head = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    return patch(f"{head}@@ -0,0 +1,{len(lines)} @@\n{text}")


def function(lines: Sequence[str], path: str = "drivers/misc/fill.c") -> bytes:
    """A patch that adds a file with one function of these lines."""
    return added([HEAD, "{", *(f"\t{line}" for line in lines), "}"], path)


def hunks(count: int, path: str = "mm/fill.c") -> bytes:
    """A patch of many hunks."""
    text = "".join(
        f"@@ -{20 * n},2 +{20 * n},3 @@ int f{n}(struct mm_struct *mm)\n"
        " \tint a;\n+\tmmap_read_lock(mm); g(vma);\n \tb();\n"
        for n in range(1, count + 1)
    )
    return patch(f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n{text}")


BRANCH = "if (f(vma)) { vma->vm_flags = handle_mm_fault(vma, addr, flags, regs); mmap_read_unlock(mm); goto out; }"
EVERYTHING = (
    "mmap_read_lock(mm); mmap_read_unlock(mm); vma = find_vma(mm, a); ret = get_user_pages_remote(mm, a, 1, FOLL_PIN, "
    "pages, &locked); pin_user_pages(a, 1, FOLL_LONGTERM, pages); put_page(pages[0]); copy_to_user(p, q, 1);"
)

CASES: dict[str, Callable[[], bytes]] = {
    "5 MB of added lines with words": lambda: added(["\tdown_read(&mm->mmap_sem); /* FOLL_PIN */ x = y;"] * 90_000),
    "a function of 30,000 lines": lambda: function([BRANCH] * 30_000),
    "a function of 30,000 lines, every family": lambda: function([EVERYTHING] * 30_000),
    "30,000 labels and gotos": lambda: function([f"l{n}: mmap_read_unlock(mm); goto l{n + 1};" for n in range(30_000)]),
    "30,000 cases of a switch": lambda: function(
        ["switch (a) {", *(f"case {n}: mmap_read_lock(mm); break;" for n in range(30_000)), "}"]
    ),
    "10,000 hunks": lambda: hunks(10_000),
    "10,000 files": lambda: patch(
        "".join(
            f"diff --git a/mm/{n}.c b/mm/{n}.c\n--- a/mm/{n}.c\n+++ b/mm/{n}.c\n"
            "@@ -1 +1,2 @@\n int a;\n+\tmmap_read_lock(mm);\n"
            for n in range(10_000)
        )
    ),
    "100,000 open braces": lambda: function(["{"] * 100_000 + ["mmap_read_unlock(mm);"]),
    "100,000 closing braces": lambda: function(["}"] * 100_000 + ["mmap_read_unlock(mm);"]),
    "50,000 open parentheses": lambda: function(["mmap_read_unlock("] * 50_000),
    "2,000 nested calls": lambda: function(["fixup_user_fault(" * 2_000 + ")" * 2_000 + ";"]),
    "else if, 20,000 times": lambda: function(["if (a) mmap_read_lock(mm);", *["else if (b) up(vma);"] * 20_000]),
    "3,000 VMAs, 3,000 unlocks": lambda: function(
        [*(f"struct vm_area_struct *v{n};" for n in range(3_000)), *["mmap_read_unlock(mm);"] * 3_000]
        + [f"f(v{n});" for n in range(3_000)]
    ),
    "3,000 mms": lambda: function([f"mmap_read_lock(m{n}->mm);" for n in range(3_000)]),
    "3,000 page arrays": lambda: function(
        [*(f"pin_user_pages_fast(a, n, 0, p{n});" for n in range(3_000))]
        + [f"put_page(p{n}[0]);" for n in range(3_000)]
    ),
    "a condition of 30,000 operands": lambda: function(["if (" + " && ".join(["a"] * 30_000) + ") up_read(x);"]),
    "one line of 4 MB": lambda: function(["down_read(&mm->mmap_sem); " * 160_000]),
    "100,000 unclosed comments": lambda: added(["/* mmap_sem"] * 100_000),
    "50,000 unclosed strings": lambda: added(['"mmap_sem'] * 50_000),
    "3,000 new flags": lambda: added(
        [f"#define FOLL_A{n} 0x{1 << (n % 30):x}" for n in range(3_000)], "include/linux/mm.h"
    ),
    "3,000 macros": lambda: added([f"#define A{n}(mm) down_read(&(mm)->mmap_sem)" for n in range(3_000)]),
    "40,000 lines of no C": lambda: added(["%$&?! ))(( }{ mmap_read_lock FOLL_PIN vm_flags"] * 40_000),
}


def main() -> None:
    """Print the table."""
    parser = arguments(__doc__)
    parser.add_argument("names", nargs="*", help="only the cases with one of these words in their name")
    options = parser.parse_args()
    rows, broken = [], 0
    with tempfile.TemporaryDirectory() as directory:
        for name, make in CASES.items():
            if options.names and not any(word in name for word in options.names):
                continue
            file = Path(directory, "hostile.eml")
            file.write_bytes(make())
            cost = run([REVIEWBOT, "check", "--strict", "--format", "json", str(file)], allowed=range(256))
            bad = cost.wall > SECONDS or cost.rss > MEGABYTES or cost.status not in (0, 1, 2)
            broken += bad
            rows.append((name, file.stat().st_size / 1e6, cost.wall, cost.rss, cost.status, "too much" if bad else ""))
            print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    table(("case", "MB", "seconds", "MB memory", "exit status", ""), rows)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
