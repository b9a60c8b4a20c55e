# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line: arguments, exit codes, what is said on stderr, and that nothing around it plays a part."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from mails import mail, patch_body, posting

from reviewbot import cli
from reviewbot.cli import main
from reviewbot.model import TemporaryError

PROGRAM = Path(sys.executable).with_name("reviewbot")
EXAMPLE = Path(__file__).parent / "data" / "example.mbox"
EXAMPLE_ID = "20260914081200.1234-1-mara@example.org"

DIFF = """\
diff --git a/mm/x.c b/mm/x.c
--- a/mm/x.c
+++ b/mm/x.c
@@ -10,3 +10,4 @@ static int walk(struct mm_struct *mm)
 \tint ret;
\x20
+\tprefetchw(&mm->mmap_sem);
 \treturn ret;
"""
BAD = f"Take it.\n\nSigned-off-by: Ada Ranger <ada@example.org>\n---\n mm/x.c | 1 +\n\n{DIFF}-- \n2.39.5\n"
TERSE = re.compile(r"^\S[^:\n]*:\d+:\d+: (error|warning|note|info): .+ \[[a-z-]+/[a-z-]+\]$")
FROM = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"


class Run(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def no_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of whoever runs the tests is read."""
    for name in ("XDG_CONFIG_HOME", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Any:
    """Call main() with arguments."""

    def call(*arguments: str | Path) -> Run:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:
            code = int(left.code or 0)
        return Run(code, *capfd.readouterr())

    return call


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A patch with one error in it."""
    return put(tmp_path, mail("[PATCH] mm: take it", BAD, "bad@example.org"), name="bad.patch")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return put(tmp_path, mail("[PATCH] mm: step", patch_body("walk"), "good@example.org"), name="good.patch")


def put(where: Path, *mails: bytes, name: str = "box") -> Path:
    """A file of one mail, or an mbox."""
    where.mkdir(exist_ok=True)
    file = where / name
    file.write_bytes(mails[0] if len(mails) == 1 else b"".join(FROM + raw + b"\n" for raw in mails))
    return file


def program(
    *arguments: str | Path, cwd: Path, data: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """The installed program; with an empty environment where none is given."""
    command = [str(PROGRAM), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=env or {}, input=data, capture_output=True, check=False, timeout=60)


# -- exit codes -----------------------------------------------------------------------------------


def test_nothing_found_is_zero_and_silent(run: Any, good: Path) -> None:
    assert run("check", good) == Run(0, "", "")


def test_a_finding_is_one(run: Any, bad: Path) -> None:
    code, out, err = run("check", bad)
    assert (code, err) == (1, "the list bot would send 1 mail with 1 finding\n")
    assert out.startswith("mm/x.c:12:13: error: mmap_sem is mmap_lock since v5.8")
    assert out.endswith(" [mmap-lock/direct-mmap-sem]\n")


@pytest.mark.parametrize(("limit", "code"), [("error", 1), ("warning", 1), ("note", 1), ("info", 1), ("never", 0)])
def test_fail_on_says_what_makes_it_one(run: Any, bad: Path, limit: str, code: int) -> None:
    assert run("check", "--fail-on", limit, bad).code == code


def test_a_note_is_no_failure_where_only_warnings_are(run: Any, tmp_path: Path) -> None:
    # a draft in a discussion gets notes
    file = put(tmp_path, mail("Re: [PATCH] mm: take it", BAD, "n@example.org"))
    assert re.search(r": note: ", run("check", "--strict", file).out)
    assert run("check", "--strict", file).code == 0
    assert run("check", "--strict", "--fail-on", "note", file).code == 1
    silent = "the list bot would send nothing (reply: a reply, not a posting)\n"
    assert run("check", "--fail-on", "note", file) == Run(0, "", silent)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["check", "--format", "xml", "x"],
        ["check", "--fail-on", "all", "x"],
        ["lore"],
        ["lore", "a@b", "-v", "0"],
        ["lore", "a@b", "-v", "two"],
        ["lore", "a@b", "-v", "2", "--latest"],
        ["rules", "--format", "terse"],
    ],
)
def test_wrong_arguments_are_two(run: Any, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: reviewbot")


def test_help_and_version_are_zero(run: Any) -> None:
    assert run("--version").code == 0
    assert "exit status: 0 nothing to report, 1 findings" in " ".join(run("--help").out.split())


def test_network_trouble_is_75_and_an_interrupt_130(run: Any, bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(error: BaseException) -> Any:
        def command(*_: object) -> int:
            raise error

        return type("module", (), {"run": staticmethod(command)})

    for error, code, said in (
        (TemporaryError("cannot reach 'x'"), 75, "reviewbot: cannot reach 'x'\n"),
        (KeyboardInterrupt(), 130, ""),
        (ZeroDivisionError("a\nb"), 2, "reviewbot: internal error: ZeroDivisionError: a b (--debug shows where)\n"),
    ):  # fmt: skip
        monkeypatch.setattr(cli, "import_module", lambda _, error=error: raising(error))
        assert run("check", bad) == Run(code, "", said)


def test_a_server_that_is_not_there_is_75(run: Any) -> None:
    # nothing listens on the discard port of loopback
    code, out, err = run("lore", "a@example.org", "--lore-url", "http://127.0.0.1:9/x/")
    assert (code, out) == (75, "")
    assert err.count("\n") == 1


@pytest.mark.parametrize("hint", [b"", b"\n"])
def test_empty_standard_input_is_one_line(run: Any, monkeypatch: pytest.MonkeyPatch, hint: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(hint)))
    assert run("check", "-") == Run(2, "", "reviewbot: no mail in 'standard input': it is empty\n")


def test_what_cannot_be_read_is_one_line(run: Any, tmp_path: Path) -> None:
    assert run("check", tmp_path / "no") == Run(
        2, "", f"reviewbot: cannot open '{tmp_path}/no': No such file or directory\n"
    )
    file = put(tmp_path, b"int main;\n", name="x.c")
    said = f"reviewbot: not a mail: '{file}' has no From:, Subject:, Date: or Message-ID: header\n"
    assert run("check", file) == Run(2, "", said)
    prose = put(tmp_path, mail("hello", "Just prose.\n", "p@example.org"))
    assert run("check", prose) == Run(2, "", f"reviewbot: no patch in '{prose}'\n")


def test_one_bad_mail_does_not_stop_a_run(run: Any, tmp_path: Path, bad: Path) -> None:
    junk = put(tmp_path, b"int main;\n", name="x.c")
    code, out, err = run("check", junk, bad)
    assert (code, out.count("\n")) == (1, 1)
    assert err.splitlines() == [
        f"warning: not a mail: '{junk}' has no From:, Subject:, Date: or Message-ID: header",
        "the list bot would send 1 mail with 1 finding",
    ]
    assert run("check", "-q", junk, bad).err == ""


# -- check ----------------------------------------------------------------------------------------


def test_an_incomplete_series_is_reviewed_and_what_is_missing_is_named(run: Any, tmp_path: Path) -> None:
    file = put(tmp_path, *posting(4, only=(2, 4)), mail("[PATCH 3/4] mm: take it", BAD, "bad@example.org"))
    code, out, err = run("check", file)
    assert (code, out.count("\n")) == (1, 1)
    assert err.splitlines() == [
        "warning: missing 1 of 4 of '[PATCH 0/4] mm: teach walk more': the rest is reviewed",
        "the list bot would send nothing (incomplete: 1 of 4 patches are missing)",
    ]


def test_a_series_that_claims_thousands_of_patches_makes_no_thousands_of_numbers(run: Any, tmp_path: Path) -> None:
    file = put(tmp_path, mail("[PATCH 1/9999] mm: take it", BAD, "bad@example.org"))
    assert len(run("check", file).err) < 1000


def test_standard_input_and_a_bare_diff_are_read(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (mail("[PATCH] x", BAD, "a@b"), FROM + mail("[PATCH] x", BAD, "a@b"), DIFF.encode()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        code, out, _ = run("check", "-")
        assert (code, out.count("\n")) == (1, 1)


def test_select_and_ignore_take_families_rules_and_ids(run: Any, bad: Path) -> None:
    for names in ("mmap-lock", "mmap-lock/direct-mmap-sem", "ML01", "vma,ML01"):
        assert run("check", "--select", names, bad).code == 1
        assert run("check", "--ignore", names, bad).code == 0
    assert run("check", "--select", "vma", bad) == Run(0, "", "")
    assert run("check", "--select", "mmap-lock", "--ignore", "ML01", bad).code == 0
    assert run("check", "--select", "vma", "--select", "ML01", bad).code == 1


def test_an_unknown_rule_is_refused_with_the_nearest_one(run: Any, bad: Path) -> None:
    said = "reviewbot: no rule or family is named 'mmap-lok', did you mean 'mmap-lock'?\n"
    assert run("check", "--select", "mmap-lok", bad) == Run(2, "", said)
    assert run("check", "--ignore", "vma,mmap-lok", bad) == Run(2, "", said)
    assert run("check", "--select", "zzzzzz", bad) == Run(2, "", "reviewbot: no rule or family is named 'zzzzzz'\n")


# -- formats --------------------------------------------------------------------------------------


def test_terse_is_gccs_form(run: Any) -> None:
    code, out, _ = run("lore", EXAMPLE_ID, "-m", EXAMPLE, "--format", "terse")
    assert (code, len(out.splitlines()) > 1) == (1, True)
    for line in out.splitlines():
        assert TERSE.match(line), line


def test_json_has_the_keys_of_the_design(run: Any, bad: Path) -> None:
    code, out, _ = run("check", "--format", "json", bad)
    document = json.loads(out)
    assert code == 1
    assert list(document) == ["version", "series", "findings", "not_run", "errors", "forecast", "branches"]
    assert document["version"] == 1
    assert list(document["series"]) == ["message_id", "subject", "revision", "patches", "complete", "base"]
    assert list(document["series"]["base"]) == ["commit", "version", "how", "version_how", "tree", "prerequisites"]
    (finding,) = [found for found in document["findings"] if found["shown"]]
    assert set(finding) - {"places"} == set(
        """rule severity confidence shown why_not_shown message fingerprint preexisting patch location related
        suggestion fixable notes resolved_by""".split()
    )
    assert list(finding["patch"]) == ["index", "message_id", "subject", "commit"]
    assert list(finding["location"]) == ["kind", "path", "line", "column", "end_line", "end_column", "text"]
    assert (finding["rule"], finding["severity"], finding["why_not_shown"]) == (
        "mmap-lock/direct-mmap-sem",
        "error",
        None,
    )


def test_json_of_related_places_and_hidden_findings(run: Any) -> None:
    document = json.loads(run("lore", EXAMPLE_ID, "-m", EXAMPLE, "--format", "json").out)
    related = [place for found in document["findings"] for place in found["related"]]
    assert related
    assert all(list(place) == ["path", "line", "message"] for place in related)
    for found in document["findings"]:
        assert found["shown"] is (found["why_not_shown"] is None)


def test_json_of_two_series_is_one_document(run: Any, good: Path, bad: Path, tmp_path: Path) -> None:
    numbered = put(tmp_path, *posting(2), name="numbered")
    json.loads(run("check", "--format", "json", numbered, bad).out)


def test_color_is_for_terminals_and_for_those_who_ask(run: Any, bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in run("check", "--format", "full", bad).out
    assert "\x1b" not in run("check", "--format", "full", "--color", "never", bad).out
    assert "\x1b[1;31merror\x1b[0m" in run("check", "--format", "full", "--color", "always", bad).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31merror\x1b[0m" in run("check", "--format", "full", "--color", "always", bad).out
    assert "\x1b" not in run("check", "--format", "terse", "--color", "always", bad).out


@pytest.mark.parametrize(("value", "colored"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_gets_full_and_color_unless_no_color_is_set(
    run: Any, bad: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, colored: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if value is not None:
        monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = run("check", bad)
    assert (code, "\x1b[" in out) == (1, colored)
    assert "1 patch, 1 error" in out


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\x08\x0c"


@pytest.mark.parametrize("form", ["full", "terse", "json"])
def test_no_terminal_escape_of_a_mail_gets_out(run: Any, tmp_path: Path, form: str) -> None:
    body = BAD.replace("mm/x.c", f"mm/{HOSTILE}.c").replace("(&mm", f'(/* {HOSTILE} */ "{HOSTILE}", &mm')
    body = body.replace("static int walk", f"static int {HOSTILE}").replace(
        "---\n", f"---\nreviewbot: ignore vma {HOSTILE}\n", 1
    )
    broken = DIFF.replace("\n+\t", f"\n{HOSTILE}\n+\t").replace("mm/x.c", f"mm/y{HOSTILE}.c")
    mails = [
        mail(f"[PATCH 1/3] {HOSTILE}", body.replace("-- \n", broken + "-- \n"), f"h{HOSTILE}@example.org",
             sender=f'"{HOSTILE}" <h@example.org>'),
        mail(f"[PATCH 2/3] {HOSTILE}", BAD, "two@example.org", in_reply_to=f"h{HOSTILE}@example.org"),
    ]  # fmt: skip
    box = put(tmp_path, *mails)
    name = tmp_path / f"{HOSTILE}.patch"
    name.write_bytes(mails[0])
    for arguments in (
        ["check", "--format", form, "--strict", box],
        ["check", "--format", form, name, tmp_path / HOSTILE],
        ["check", "--format", form, name],
        ["lore", "two@example.org", "-m", box, "--format", form, "--strict"],
        ["lore", f"<{HOSTILE}@example.org>", "-m", box],
        ["check", "--select", HOSTILE, box],
        ["rules", HOSTILE],
        ["reply", "two@example.org", "-m", box],
    ):
        code, out, err = run(*arguments)
        assert code in (0, 1, 2)
        for text in (out, err):
            assert not [c for c in text if c not in "\n\t" and not c.isprintable()], (arguments, text)


# -- lore -----------------------------------------------------------------------------------------


def test_a_series_out_of_an_mbox_is_described_on_stderr(run: Any, tmp_path: Path) -> None:
    code, out, err = run("lore", "walk-v1-2@example.org", "-m", put(tmp_path, *posting(3)))
    assert (code, out) == (0, "")
    assert f"fetched 4 mails from {tmp_path}/box\n" in err
    assert "reviewing v1, 3 patches: [PATCH 0/3] mm: teach walk more\n" in err
    assert "base: v6.12 (date)\n" in err
    assert run("lore", "walk-v1-2@example.org", "-m", tmp_path / "box", "-q") == Run(0, "", "")


def test_an_unknown_message_id_is_one_line(run: Any, tmp_path: Path) -> None:
    box = put(tmp_path, *posting(1))
    assert run("lore", "no@example.org", "-m", box) == Run(2, "", f"reviewbot: no mail <no@example.org> in '{box}'\n")


def test_a_thread_without_a_patch_is_one_line(run: Any, tmp_path: Path) -> None:
    box = put(tmp_path, mail("hello", "Just prose.\n", "p@example.org"))
    code, out, err = run("lore", "p@example.org", "-m", box)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("reviewbot: ")
    assert "patch" in err.splitlines()[-1]


def test_missing_patches_of_a_thread_are_named_and_the_rest_is_reviewed(run: Any, tmp_path: Path) -> None:
    parent = "walk-v1-0@example.org"
    last = mail("[PATCH 5/5] mm: take it", BAD, "bad@example.org", in_reply_to=parent, minute=9)
    code, out, err = run("lore", parent, "-m", put(tmp_path, *posting(5, only=(1, 3)), last))
    assert (code, out.count("\n")) == (1, 1)
    assert "warning: incomplete series, missing 2, 4 of 5: the rest is reviewed\n" in err
    assert "reviewing v1, 3 of 5 patches:" in err


@pytest.mark.parametrize(
    ("text", "patches"),
    [("1", [1]), ("2-3", [2, 3]), ("1,3", [1, 3]), ("2-", [2, 3]), ("-2", [1, 2]), (" 3 , 1 ", [1, 3])],
)
def test_patches_are_chosen_by_number(run: Any, tmp_path: Path, text: str, patches: list[int]) -> None:
    parent = "walk-v1-0@example.org"
    bads = [
        mail(f"[PATCH {n}/3] mm: take it", BAD, f"{n}@example.org", in_reply_to=parent, minute=n) for n in (1, 2, 3)
    ]
    box = put(tmp_path, posting(3)[0], *bads)
    document = json.loads(run("lore", parent, "-m", box, "--format", "json", f"-P{text}").out)
    assert [found["patch"]["index"] for found in document["findings"]] == patches


@pytest.mark.parametrize("text", ["x", "", "1-x", "3-1", "0", "4", "1-4", "-", "1,,2", "--1", "1-2-3", "²", "9" * 5000])
def test_what_is_no_list_of_patches_is_refused(run: Any, tmp_path: Path, text: str) -> None:
    code, out, err = run("lore", "walk-v1-0@example.org", "-q", "-m", put(tmp_path, *posting(3)), f"-P{text}")
    assert (code, out) == (2, "")
    assert re.match(r"(reviewbot: (not a list of patch numbers: |no patch )|usage: )", err)


# -- rules ----------------------------------------------------------------------------------------


def test_the_table_of_rules_has_a_line_for_each(run: Any) -> None:
    code, out, err = run("rules")
    assert (code, err) == (0, "")
    rules = json.loads(run("rules", "--format", "json").out)
    assert [line.split()[:2] for line in out.splitlines()] == [[rule["id"], rule["name"]] for rule in rules]
    for rule in rules:
        assert {"name", "id", "severity", "confidence", "needs", "since", "until", "summary", "evidence"} <= set(rule)


def test_a_rules_page_is_printed_by_name_and_by_id(run: Any) -> None:
    code, out, err = run("rules", "mmap-lock/direct-mmap-sem")
    assert (code, err) == (0, "")
    assert "from v5.8 on" in out
    assert run("rules", "ML01").out == out
    (record,) = json.loads(run("rules", "ML01", "--format", "json").out)
    assert (record["name"], record["since"], record["until"]) == ("mmap-lock/direct-mmap-sem", "v5.8", None)


def test_an_unknown_rules_page_names_the_nearest(run: Any) -> None:
    said = "reviewbot: no rule is named 'mmap-lock/direct-mmap-sen', did you mean 'mmap-lock/direct-mmap-sem'?\n"
    assert run("rules", "mmap-lock/direct-mmap-sen") == Run(2, "", said)


# -- reply ----------------------------------------------------------------------------------------


def test_a_reply_is_a_mail_that_answers_the_patch(run: Any, tmp_path: Path) -> None:
    config = put(tmp_path, b'[reply]\nsender = "Review Bot <bot@example.org>"\n', name="config.toml")
    raw = mail("[PATCH] mm: take it", BAD, "bad@example.org", headers=["Cc: Max <max@example.org>"])
    code, out, err = run("reply", "bad@example.org", "-q", "--config", config, "-m", put(tmp_path, raw))
    assert (code, err) == (0, "")
    answer = BytesParser(policy=default).parsebytes(out.encode().partition(b"\n")[2])
    assert not answer.defects
    assert answer["In-Reply-To"] == "<bad@example.org>"
    assert "<bad@example.org>" in answer["References"]
    assert answer["Subject"] == "Re: [PATCH] mm: take it"
    assert answer["From"] == "Review Bot <bot@example.org>"
    assert "ada@example.org" in answer["To"]
    assert "max@example.org" in answer["Cc"]
    text = answer.get_content()
    assert "> +\tprefetchw(&mm->mmap_sem);" in text
    assert "mmap_sem is mmap_lock since v5.8" in text


def test_drafts_are_written_into_a_directory_under_a_harmless_name(run: Any, tmp_path: Path) -> None:
    odd = "../../a b/%2e$(x)@example.org".replace(" ", "")
    box = put(tmp_path, mail("[PATCH] mm: take it", BAD, odd))
    code, out, err = run("reply", odd, "-m", box, "-o", tmp_path / "new" / "drafts")
    assert (code, out) == (0, "")
    (file,) = (tmp_path / "new" / "drafts").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9@_-]+\.mbox", file.name)
    assert str(file) in err
    assert b"In-Reply-To: <" + odd.encode() + b">" in file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["box", "new"]


def test_nothing_found_is_no_reply(run: Any, tmp_path: Path) -> None:
    box = put(tmp_path, *posting(1))
    code, out, err = run("reply", "walk-v1-0@example.org", "-m", box, "-o", tmp_path / "drafts")
    assert (code, out) == (0, "")
    assert "no reply: there is nothing to say\n" in err
    assert not (tmp_path / "drafts").exists()


def test_drafts_that_cannot_be_written_are_one_line(run: Any, tmp_path: Path) -> None:
    box = put(tmp_path, mail("[PATCH] mm: take it", BAD, "bad@example.org"))
    code, _, err = run("reply", "bad@example.org", "-q", "-m", box, "-o", box)
    assert code == 2
    assert re.fullmatch(r"reviewbot: cannot write '[^\n]*': (File exists|Not a directory)\n", err)


# -- configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("selct = ['vma']", "reviewbot: unknown key 'selct' in 'FILE', did you mean 'select'?\n"),
        ("[reply]\nsendr = 'x'", "reviewbot: unknown key 'reply.sendr' in 'FILE', did you mean 'reply.sender'?\n"),
        (
            "select = ['mmap-lok']",
            "reviewbot: no rule or family is named 'mmap-lok', did you mean 'mmap-lock'? (in the configuration)\n",
        ),
        ("strict = 1", "reviewbot: 'strict' in 'FILE' must be a bool, not 1\n"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_two(run: Any, bad: Path, tmp_path: Path, text: str, said: str) -> None:
    config = put(tmp_path, text.encode(), name="config.toml")
    assert run("check", "--config", config, bad) == Run(2, "", said.replace("FILE", str(config)))


def test_a_wrong_fail_on_in_the_configuration_is_two(run: Any, bad: Path, tmp_path: Path) -> None:
    config = put(tmp_path, b"fail-on = 'fatal'", name="config.toml")
    code, _, err = run("check", "--config", config, bad)
    assert (code, "'fail-on' must be" in err) == (2, True)


def test_the_configuration_chooses_rules_and_the_command_line_overrides(run: Any, bad: Path, tmp_path: Path) -> None:
    config = put(tmp_path, b"select = ['vma']\nfail-on = 'never'\n", name="config.toml")
    assert run("check", "-q", "--config", config, bad) == Run(0, "", "")
    # which the bot would read, too
    assert run("check", "--config", config, bad).err == "the list bot would send nothing; silent on 1/1 (ignored)\n"
    assert run("check", "--config", config, "--select", "mmap-lock", "--fail-on", "error", bad).code == 1


@pytest.mark.parametrize("text", ["per = 'mail'", "sender = 'a@b, c@d'", "sender = 'nobody'"])
def test_a_wrong_reply_setting_is_said_before_anything_is_read(run: Any, tmp_path: Path, text: str) -> None:
    config = put(tmp_path, f"[reply]\n{text}\n".encode(), name="config.toml")
    code, out, err = run("reply", "a@b", "--config", config, "-m", tmp_path / "none")
    assert (code, out) == (2, "")
    assert err.startswith("reviewbot: 'reply.")


# -- the installed program ------------------------------------------------------------------------


def surroundings(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A git tree, a home and configuration that would change b4, and that a run must not look at."""
    tree, home = tmp_path / "tree", tmp_path / "home"
    evil = f"[b4]\n\tmidmask = http://127.0.0.1:9/%s\n\tprep-perpatch-check-cmd = touch {tmp_path}/owned\n"
    evil += "[sendemail]\n\tvalidate = true\n"
    for directory in (tree, home / ".config" / "b4", home / ".cache"):
        directory.mkdir(parents=True)
    quiet = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", "."], cwd=tree, env=quiet, check=True)
    (tree / ".b4-config").write_text(evil)
    with (tree / ".git" / "config").open("a") as config:
        config.write(evil)
    (home / ".gitconfig").write_text(evil)
    # names that a program started in the tree might import or read
    for name in ("b4.py", "requests.py", "email.py", "unidiff.py", "reviewbot.py", "sitecustomize.py"):
        (tree / name).write_text("raise SystemExit('imported from the tree')\n")
    (tree / "config.toml").write_text("strict = true\n")
    return tree, {"PATH": os.environ["PATH"], "HOME": str(home)}


@pytest.mark.parametrize("command", [["check"], ["lore", "bad@example.org", "-m"], ["reply", "bad@example.org", "-m"]])
def test_neither_directory_nor_environment_changes_what_is_said(command: list[str], tmp_path: Path, bad: Path) -> None:
    tree, env = surroundings(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    plain = program(*command, bad, cwd=Path("/"))
    other = program(*command, bad, cwd=tree, env=env)
    assert plain.returncode == (0 if command[0] == "reply" else 1), plain.stderr
    strip = re.compile(rb"^(?:Date|From ).*$", re.M)
    assert strip.sub(b"", plain.stdout) == strip.sub(b"", other.stdout)
    assert (plain.returncode, plain.stderr) == (other.returncode, other.stderr)
    assert b"mmap_sem is mmap_lock since v5.8" in plain.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_the_program_reads_standard_input_in_an_empty_environment(tmp_path: Path) -> None:
    done = program("check", "-q", "-", cwd=tmp_path, data=mail("[PATCH] mm: x", BAD.replace("ret;", "größe;"), "a@b"))
    assert (done.returncode, done.stderr) == (1, b"")
    done = program("check", "-", cwd=tmp_path)
    said = b"reviewbot: no mail in 'standard input': it is empty\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", said)


def test_check_imports_neither_b4_nor_requests_nor_jinja2(bad: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from reviewbot.cli import main; code = main(sys.argv[1:]); "
        "print(*sorted({name.split('.')[0] for name in sys.modules})); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "check", "-q", "--format", "json", str(bad)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "unidiff" in loaded
    assert not loaded & {"b4", "requests", "jinja2", "liblore", "urllib3", "sqlite3"}


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    many = [mail(f"[PATCH {n}/60] mm: x", BAD, f"{n}@example.org") for n in range(1, 61)]
    box = put(tmp_path, *many)
    for arguments in (["check", "-q", str(box)], ["rules"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            command = [str(PROGRAM), *arguments]
            done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60, env={})
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_an_interrupt_is_130_and_silent(tmp_path: Path) -> None:
    command = [str(PROGRAM), "check", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={}) as process:
        assert process.stdin
        assert process.stderr
        # more than a pipe holds: when it is written, the program has begun to read
        process.stdin.write(mail("[PATCH] x", "x\n" * 100_000, "a@b"))
        process.stdin.flush()
        time.sleep(0.5)  # until it waits for more: Python sees no signal that comes just before a read
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert process.stderr.read() == b""


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = program("check", "--debug", "none", cwd=tmp_path)
    assert b"Traceback (most recent call last)" in done.stderr
    assert b"\nreviewbot.model.InputError: cannot open 'none': " in done.stderr
    assert b"Traceback" not in program("check", "none", cwd=tmp_path).stderr


def test_debug_changes_no_exit_code(tmp_path: Path) -> None:
    assert program("check", "--debug", "none", cwd=tmp_path).returncode == 2


def test_a_terminal_that_knows_only_ascii_ends_no_run(tmp_path: Path) -> None:
    data = mail("[PATCH] mm: x", BAD.replace("prefetchw(", "/* größe \U0001f600 */ prefetchw("), "a@b")
    done = program("check", "-q", "--format", "full", "-", cwd=tmp_path, data=data, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (1, b"")
    assert rb"gr\xf6\xdfe \U0001f600" in done.stdout
