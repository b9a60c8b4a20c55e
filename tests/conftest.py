# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures that more than one test file uses, and where the corpus of real mail lies."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from inbox import missing_programs, public_inbox, serve
from mails import mail as make_mail
from mails import patch_body, posting, reply

# Real mail is no part of the repository; tests over it are skipped where it is not there.
CORPUS = Path(os.environ.get("REVIEWBOT_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus")

# Ids with all that is special in an address: / + = %
ODD_ID = "YL+qpL/+ReG%2Ffq=Xce@example.org"


def walk_mails() -> list[bytes]:
    """What the served list holds: a series, its v2 in reply, a review, and a patch with an odd Message-ID."""
    first = posting(3)
    return [
        *first,
        reply(first[1], "review-1@example.net", "Reviewed-by: Rex Reader <rex@example.net>"),
        *posting(3, revision=2, minute=200, above="walk-v1-0@example.org"),
        make_mail("[PATCH] mm: odd", patch_body("odd") + "\nFrom the list\n", ODD_ID, minute=300),
    ]


@pytest.fixture(scope="session")
def inbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a list on a real public-inbox server on loopback that holds `walk_mails()`."""
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    with public_inbox(tmp_path_factory.mktemp("inbox"), walk_mails()) as url:
        yield url


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The directory of real mail."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus of real mail: '{CORPUS}' (REVIEWBOT_CORPUS names another)")
    return CORPUS


@pytest.fixture(scope="session")
def corpus_archive(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus' archive as a public-inbox directory without an index."""
    bundles = sorted(corpus.glob("*.bundle"))
    if not bundles:
        pytest.skip(f"no archive in '{corpus}'")
    archive = tmp_path_factory.mktemp("archive") / "nvdimm"
    command = ["git", "clone", "-q", "--mirror", str(bundles[0]), str(archive / "git" / "0.git")]
    subprocess.run(command, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    return archive


@pytest.fixture(scope="session")
def corpus_url(corpus_archive: Path) -> Iterator[str]:
    """Address of the corpus' archive on a real public-inbox server (indexing takes some 20 s)."""
    if missing := missing_programs():
        pytest.skip(f"not installed: {missing}")
    with serve(corpus_archive.parent, corpus_archive.name, "basic") as url:
        yield url
