# SPDX-License-Identifier: GPL-2.0-or-later
"""The README's transcripts are what the commands print, and its configuration is all there is to configure.

Belongs here: nothing else. REVIEWBOT_GOLDEN=update rewrites the transcripts. They are made in a directory that has
`tests` of the repository, the README's configuration as `example.toml`, and an archive with the example's mails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from inbox import write_epoch

from reviewbot.config import Config, ListConfig, PathConfig, PolicyConfig, SourceConfig, ToolConfig, load_config
from reviewbot.policy import Reason
from reviewbot.source.mbox import MboxSource

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"^```console\n\$ ([^\n]+)\n(.*?)^```$", re.M | re.S)
TOML = re.compile(r"^```toml\n(.*?)^```$", re.M | re.S)
EXAMPLE = ROOT / "tests" / "data" / "example.mbox"
# of the README's archive: the day after the last of its mails
ARRIVED = 1789603200


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the transcripts are made."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "linux-lumen" / "git").mkdir(parents=True)
    mails = [raw for _, raw in MboxSource(str(EXAMPLE)).mails()]
    write_epoch(tmp_path / "linux-lumen" / "git" / "0.git", mails, when=ARRIVED)
    (tmp_path / "example.toml").write_text(configuration().replace("/srv/lists/", f"{tmp_path}/"))
    return tmp_path


def configuration() -> str:
    (found,) = TOML.findall(README.read_text(encoding="utf-8"))
    return str(found)


def test_every_transcript_of_the_readme_is_what_the_command_prints(directory: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    def transcript(match: re.Match[str]) -> str:
        done = subprocess.run(
            ["sh", "-c", match[1]],
            cwd=directory,
            env={"PATH": path, "NO_COLOR": "1", "HOME": "/nonexistent"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout
        return f"```console\n$ {match[1]}\n{done.stdout}```"

    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) >= 6
    now = BLOCK.sub(transcript, text)
    if os.environ.get("REVIEWBOT_GOLDEN") == "update":
        README.write_text(now, encoding="utf-8")
    assert now == text


def test_the_readmes_configuration_has_every_key_with_its_default(directory: Path) -> None:
    table = tomllib.loads(configuration())

    def keys(of: type) -> set[str]:
        return {name.replace("_", "-") for name in of._fields}  # type: ignore[attr-defined]

    assert set(table) == keys(Config)
    for name, default in Config()._asdict().items():
        if name not in ("list", "source") and isinstance(default, tuple) and hasattr(default, "_fields"):
            assert set(table[name]) == keys(type(default)), name
    (source,), (one,) = table["source"].values(), table["list"].values()
    (path,), (tool,) = table["per-path"].values(), table["tool"].values()
    assert set(source) == keys(SourceConfig)
    assert set(path) == keys(PathConfig)
    assert set(tool) == keys(ToolConfig)
    assert set(one) == keys(ListConfig) - (keys(PolicyConfig) & keys(ListConfig)) | {"mode"}
    config = load_config(str(directory / "example.toml"))
    assert (
        config._replace(
            reply=config.reply._replace(sender=""),
            policy=config.policy._replace(unknown_list="off"),
            list={},
            source={},
            per_path={},
            tool={},
        )
        == Config()
    )
    assert [table._replace(mode="off") for table in config.list.values()] == [ListConfig()]
    assert [*config.per_path.values()] == [PathConfig()]
    assert [table._replace(command="") for table in config.tool.values()] == [ToolConfig()]


def test_the_readme_explains_every_reason_once() -> None:
    text = README.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z`, -]+`) \| .+ \|$", text[text.index("| reason | ") :].partition("\n\n")[0], re.M)
    assert sorted(name for row in rows for name in re.findall(r"`([a-z-]+)`", row)) == sorted(Reason)
