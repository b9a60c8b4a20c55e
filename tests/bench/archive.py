# SPDX-License-Identifier: GPL-2.0-or-later
"""Patches per second over a whole archive in one process, beside the parsers alone.

First the archive as a stream, for its wall time and its memory, which must not grow. Then stage by
stage with the mails in memory, in CPU seconds of this process, so that git's reading is outside.
"""

from __future__ import annotations

import gc
import math
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any
from unittest import mock

from common import archive, arguments, patch_mails, raw_mails, review_mail, table
from unidiff import PatchSet, UnidiffParseError

from reviewbot.c.code import Code, images
from reviewbot.diff import diff_start
from reviewbot.engine import Files, review
from reviewbot.finding import Fault
from reviewbot.mail import local_series
from reviewbot.mime import parse_mail
from reviewbot.model import InputError, Mail, Series
from reviewbot.registry import load

SIZES = (1_000, 4_000, 16_000, 64_000)  # lines of one diff
LENGTHS = (5, 20, 80, 320)  # patches of one series


FUNCTION = """\
static int fill_%d(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;
	int ret;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (!vma) {
		mmap_read_unlock(mm);
		return -EFAULT;
	}
	ret = fixup_user_fault(mm, addr + %d, FAULT_FLAG_WRITE, NULL);
	mmap_read_unlock(mm);
	return ret;
}
"""


def peak() -> float:
    """Peak resident set of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(work: Callable[[], object], times: int = 1) -> float:
    """CPU seconds of a call, the least of so many."""
    seconds = []
    for _ in range(times):
        gc.collect()  # what earlier measurements left behind is not this one's
        begin = time.process_time()
        work()
        seconds.append(time.process_time() - begin)
    return min(seconds)


def parse_all(raws: Iterable[bytes]) -> None:
    """reviewbot's mail parse alone."""
    for raw in raws:
        try:
            parse_mail(raw)
        except InputError:
            continue


def unidiff_all(mails: Iterable[Mail]) -> None:
    """unidiff alone, on what the mails' bodies hold."""
    for mail in mails:
        try:
            PatchSet("\n".join(mail.body[diff_start(mail.body) :]) + "\n")
        except UnidiffParseError:
            continue


def diff_all(mails: Iterable[Mail]) -> list[Series]:
    """The diffs read, each mail a series."""
    return [series for mail in mails for series in local_series([mail])]


def read_by(postings: Iterable[Series], files: Files | None = None) -> list[tuple[Code, bool]]:
    """The files of which a review reads the C, and whether it takes them apart into functions."""
    made: list[Code] = []

    def keep(*args: Any) -> list[Code]:
        codes = images(*args)
        made.extend(codes)
        return codes

    with mock.patch("reviewbot.engine.images", keep):
        for series in postings:
            review(series, load(), files=files)
    # what was looked at is cached there
    return [(code, "functions" in vars(code)) for code in made if "_read" in vars(code)]


def read_again(codes: Iterable[tuple[Code, bool]]) -> None:
    """Read the C of these files once more: tokens, and functions where rules wanted them."""
    for code, functions in codes:
        fresh = Code(code.path, whole=code.whole, side=code.side, version=code.version, diff=code.diff, file=code.file)
        assert fresh.tokens is not None
        assert not functions or fresh.functions is not None


def rules_all(postings: Iterable[Series]) -> None:
    """The review of what is parsed already, the C reading in it included."""
    for series in postings:
        review(series, load())


def review_all(raws: Iterable[bytes]) -> None:
    """What `check` does with each mail: parse, read the diff, run all rules."""
    for raw in raws:
        review_mail(parse_mail(raw))


def review_series(raws: Iterable[bytes]) -> None:
    """The mails as one posting."""
    for series in local_series([parse_mail(raw) for raw in raws]):
        review(series, load())


def synthetic(lines: int, number: str = "1/1") -> bytes:
    """A patch mail that adds a file of about that many lines, every function with words that rules look for."""
    body: list[str] = []
    while len(body) < lines:
        body += (FUNCTION % (len(body), len(body))).split("\n")
    name = f"drivers/misc/fill_{number.replace('/', '_')}.c"
    head = [
        "From: A <a@example.org>",
        f"Subject: [PATCH {number}] misc: fill",
        "Date: Mon, 14 Sep 2026 10:12:00 +0200",
        f"Message-ID: <{number}@example.org>",
        "",
        "Text.",
        "---",
        f"diff --git a/{name} b/{name}",
        "new file mode 100644",
        "--- /dev/null",
        f"+++ b/{name}",
        f"@@ -0,0 +1,{len(body)} @@",
    ]
    return "\n".join([*head, *("+" + line for line in body), "-- ", "2.49.0", ""]).encode()


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of log time over log size, by least squares: 1 is linear."""
    x, y = [math.log(size) for size in sizes], [math.log(max(second, 1e-6)) for second in seconds]
    mx, my = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True)) / sum((a - mx) ** 2 for a in x)


def growth() -> None:
    """How time grows with the length of a diff and of a series."""
    by_size = []
    for lines in SIZES:
        raw = synthetic(lines)
        by_size.append(timed(partial(review_all, [raw]), 3))
    by_length = []
    for length in LENGTHS:
        raws = [synthetic(100, f"{n}/{length}") for n in range(1, length + 1)]
        by_length.append(timed(partial(review_series, raws), 3))
    print()
    table(("lines of a diff", "cpu s"), zip(SIZES, by_size, strict=True))
    print(f"growth exponent {exponent(SIZES, by_size):.2f}\n")
    table(("patches of a series", "cpu s"), zip(LENGTHS, by_length, strict=True))
    print(f"growth exponent {exponent(LENGTHS, by_length):.2f}")


def main() -> None:
    """Print the tables."""
    parser = arguments(__doc__)
    parser.add_argument("--limit", type=int, help="only the first N mails of the archive")
    parser.add_argument("--unreadable", action="store_true", help="print each diff that cannot be read")
    parser.add_argument("--growth", action="store_true", help="also how time grows with size")
    options = parser.parse_args()
    inbox = archive(options.corpus, options.cache)
    found: Counter[str] = Counter()
    faults: list[Fault] = []
    memory = [peak()]
    begin = time.perf_counter()
    for n, (_, mail) in enumerate(patch_mails(islice(raw_mails(inbox), options.limit)), 1):
        for result in review_mail(mail):
            found.update(finding.rule for finding in result.findings if not finding.preexisting)
            faults += result.errors
        if n % 500 == 0:
            memory.append(peak())
    wall = time.perf_counter() - begin
    print(f"whole archive, git included: {wall:.1f} s wall; peak memory in MB at the start and after each 500 patches:")
    print("  " + " ".join(f"{size:.0f}" for size in memory))
    print(f"{sum(found.values())} findings: " + ", ".join(f"{rule} {n}" for rule, n in found.most_common()))
    at_fault = {fault.mail.message_id for fault in faults}
    print(f"{len(at_fault)} mails with a diff that cannot be read or a rule that failed\n")
    if options.unreadable:
        for fault in faults:
            print(f"  <{fault.mail.message_id}>:{fault.message_line}: {fault.message}: {fault.text[:60]!r}")
        print()

    raws = list(islice(raw_mails(inbox), options.limit))
    both = list(patch_mails(raws))
    patches, mails = [raw for raw, _ in both], [mail for _, mail in both]
    count = len(patches)
    print(f"{len(raws)} mails, {count} patches, {sum(map(len, patches)) / 1e6:.1f} MB of them patches")
    postings = diff_all(mails)
    reading, reviewing = timed(partial(read_again, read_by(postings))), timed(partial(rules_all, postings))
    whole = timed(partial(review_all, patches))
    stages = (
        ("mail parse, all mails", timed(partial(parse_all, raws)), len(raws)),
        ("unidiff alone, patches", timed(partial(unidiff_all, mails)), count),
        ("1 mail parse, patches", timed(partial(parse_all, patches)), count),
        ("2 diff", timed(partial(diff_all, mails)), count),
        ("3 C reading", reading, count),
        ("4 rules", reviewing - reading, count),
        ("reviewbot: parse and review", whole, count),
    )
    table(
        ("stage", "cpu s", "ms a mail", "mails a second", "share"),
        [
            (name, cpu, 1000 * cpu / max(n, 1), round(n / max(cpu, 1e-9)), f"{100 * cpu / whole:.0f}%")
            for name, cpu, n in stages
        ],
    )
    if options.growth:
        growth()


if __name__ == "__main__":
    main()
