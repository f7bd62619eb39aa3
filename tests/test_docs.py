"""The documents say what the commands are: nothing is missing, and nothing is said of what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from m2s_index.cli.main import main

ROOT = Path(__file__).parents[1]


def commands(
    command: click.Command = main, path: tuple[str, ...] = ("m2s",)
) -> Iterator[tuple[str, click.Command]]:
    """Every command and group with its full name."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, (*path, name))


ALL = dict(commands())
LEAVES = {name: command for name, command in ALL.items() if not isinstance(command, click.Group)}


def documents() -> str:
    pages = [ROOT / "README.md", ROOT / "docs" / "commands.md"]
    return "\n".join(page.read_text("utf-8") for page in pages if page.exists())


def named(text: str) -> set[str]:
    """The commands that a text names; "`m2s encoders list`, `info`" names two."""
    found, group = set(), ""
    for code in re.findall(r"`([^`\n]+)`", text) + re.findall(r"(?m)^\s*\$? *(m2s .*)$", text):
        words = code.split()
        if words[:1] == ["m2s"] and len(words) > 1:
            group = " ".join(words[:2])
            found |= {group, " ".join(words[:3])}
        elif words:
            found.add(f"{group} {words[0]}")
    return found & LEAVES.keys()


def sections(text: str) -> dict[str, str]:
    """What stands under, and in, the headings that name each command."""
    found: dict[str, str] = {}
    for part in re.split(r"(?m)^#{1,6} ", text):
        for name in named(part.partition("\n")[0]):
            found[name] = found.get(name, "") + part
    return found


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help(name):
    """Each command and group says what it does, in a sentence."""
    said = ALL[name].help or ""
    assert len(said.split()) >= 3
    assert "." in said


@pytest.mark.parametrize("name", LEAVES)
def test_every_option_has_help(name):
    """Each option of each command says what it is for; each argument is in its command's help."""
    for parameter in LEAVES[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.opts[0]}"
        else:
            assert (
                parameter.make_metavar(click.Context(LEAVES[name])).strip("[].")
                in (LEAVES[name].help or "").upper()
            )


def test_every_command_is_documented():
    """README.md and docs/commands.md name every command."""
    assert LEAVES.keys() - named(documents()) == set()


def test_every_option_is_documented():
    """Each option is named where its command is described; where that has no heading, anywhere."""
    text, by_command = documents(), sections(documents())
    missing = []
    for name, command in LEAVES.items():
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                long = max(parameter.opts, key=len)
                if not re.search(rf"(?<![\w-]){re.escape(long)}(?![\w-])", by_command.get(name) or text):
                    missing.append(f"{name} {long}")
    # Options that every command has are described once.
    shared = {option for option in ("--catalog", "--format", "--json", "--csv") if option in text}
    assert [name for name in missing if name.split()[-1] not in shared] == []


def test_no_option_is_documented_that_is_not_there():
    """Every long option after ``m2s`` in a code block or table of the documents exists."""
    known = {option for command in ALL.values() for p in command.params for option in (*p.opts, *p.secondary_opts)}
    known |= {"--help", "--version"}
    said = set()
    for line in documents().splitlines():
        if command := re.search(r"\bm2s [a-z].*", line):
            said |= set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", command[0]))
    assert said - known == set()


PAGES = ["README.md", *sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    """A link to another file of the project leads to one."""
    for target in re.findall(r"\]\(([^)#\s]+)", (ROOT / page).read_text("utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert ((ROOT / page).parent / target).exists(), target


def test_pages_name_no_machine():
    """No page names a folder of the machine that it was written on."""
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        assert not re.search(r"/(work|home/\w+|root|tmp)/", page.read_text("utf-8")), page
