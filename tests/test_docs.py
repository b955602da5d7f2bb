"""What the pages tell people to type exists: commands, sub-commands, flags; and links lead somewhere."""

import contextlib
import importlib
import io
import re
import tomllib
from functools import cache, partial
from pathlib import Path

import pytest

from hoi_core import plugins
from hoi_core.command import run

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "hoi_core").rglob("*.md")])
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["scripts"]
FOLDERS = {"hoi-data": "hoi_cli.data", "hoi-bench": "hoi_cli.bench"}
FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*")
NO_COMMANDS = {"hoi-annotation", "hoi-toolkit[runtime]", "hoi-toolkit[mediapipe]"}
"""Other names that begin so."""
OTHERS = {"--nproc-per-node"}
"""Flags of other people's programs."""


@cache
def flags(command: str, sub: str = "") -> frozenset[str]:
    """Flags that `--help` of a command or sub-command shows; those of `hoi-train` for all models."""
    module, name = SCRIPTS[command].split(":")
    main = getattr(importlib.import_module(module), name)
    if sub:
        config = plugins.load(FOLDERS[command], sub).Config
        asked = [lambda: run(config, print, ["--help"], prog=sub, doc=None)]
    elif command in FOLDERS:
        return frozenset().union(*(flags(command, each) for each in plugins.names(FOLDERS[command])))
    elif command == "hoi-train":
        asked = [partial(main, ["--model", model, "--help"]) for model in plugins.names("learning.models")]
    else:
        asked = [partial(main, ["--help"])]
    text = io.StringIO()
    for ask in asked:
        with contextlib.redirect_stdout(text), pytest.raises(SystemExit):
            ask()
    return frozenset(FLAG.findall(text.getvalue()))


def code_of(page: Path) -> list[str]:
    """Lines of fenced code, and code within sentences."""
    text = page.read_text(encoding="utf8")
    fenced = "\n".join(re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)).replace("\\\n", " ")
    return [*fenced.splitlines(), *re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))]


def words_of(line: str) -> list[str]:
    """A command's words, without what is said about it behind some spaces or a hash."""
    return re.split(r"\s{3,}|\s#", line.strip())[0].split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_flags_are_those_that_there_are(page: Path) -> None:
    for line in code_of(page):
        command, *words = words_of(line) or [""]
        if command.startswith("hoi-") and command not in NO_COMMANDS:
            assert command in SCRIPTS, line
            sub = words[0] if command in FOLDERS and words and not words[0].startswith("-") else ""
            assert not sub or sub in plugins.names(FOLDERS[command]), line
            asked = {word.split("=")[0] for word in words if FLAG.fullmatch(word.split("=")[0])}
            assert asked <= flags(command, sub), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_flags_in_sentences_are_those_of_some_command(page: Path) -> None:
    asked = {flag for line in code_of(page) if line.startswith("--") for flag in FLAG.findall(line)}
    unknown = asked - OTHERS - frozenset().union(*(flags(command) for command in SCRIPTS)) - of_scripts()
    assert not unknown


@cache
def of_scripts() -> frozenset[str]:
    """Flags of benchmarks and scripts."""
    files = [path for folder in ("benchmarks", "scripts") for path in (ROOT / folder).iterdir() if path.is_file()]
    return frozenset(flag for path in files for flag in FLAG.findall(path.read_text(encoding="utf8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_modules_in_the_architecture_are_there() -> None:
    package = ""
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf8").splitlines():
        if title := re.match(r"\| modules of `(\w+)/` \|", line):
            package = title.group(1)
        elif not line.startswith("|"):
            package = ""
        for name in re.findall(r"`([\w/]+)`", line.split("|")[1]) if package and not title else ():
            found = ROOT / package / name
            assert found.is_dir() or found.with_suffix(".py").exists(), f"{package}: {name}"
