"""The command: keys, checks and refusals, in processes of their own kind but this one."""

import os
import re
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.settings import load_settings
from tests.service.conftest import serving
from tests.service.gallery.conftest import EVERYONE, crop, fields, open_gallery


@pytest.fixture
def home(monkeypatch, tmp_path: Path) -> Path:
    for name in list(os.environ):
        if name.startswith("REID_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REID_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str):
    return CliRunner().invoke(app, arguments)


def refused(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(home):
    made = run("keys", "create", "--scope", "read", "--scope", "enrol", "--camera", "north", "--name", "door")
    assert made.exit_code == 0
    text = made.stdout.strip()
    key_id = re.fullmatch(r"reid_([0-9a-f]{12})_[\w-]{43}", text)[1]
    listed = run("keys", "list").stdout
    assert key_id in listed
    assert "north" in listed
    secret = text.removeprefix(f"reid_{key_id}_")
    assert secret not in listed
    assert all(secret.encode() not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert run("keys", "revoke", key_id).stdout == f"revoked {key_id}\n"
    assert "expected the id of a key, got 'nobody'" in refused("keys", "revoke", "nobody")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scope", "all"], "expected scopes of a key (read, enrol, erase, admin), got all"),
        (["--scope", "erase", "--camera", "c"], "limited to cameras (read, enrol), got erase"),
        (["--scope", "read", "--camera", "North "], "expected a camera_id (expected printable text without spaces"),
        (["--scope", "read", "--camera", ""], "expected a camera_id (String should have at least 1 character), got ''"),
    ],
)
def test_a_key_that_cannot_be_is_refused(home, arguments, message):
    assert message in refused("keys", "create", *arguments)


def test_serve_refuses_what_cannot_be_before_it_loads_anything(home, monkeypatch):
    monkeypatch.setenv("REID_AUTH", "off")
    assert "needs a loopback REID_HOST (127.0.0.1), got '0.0.0.0'" in refused("serve", "--host", "0.0.0.0")
    monkeypatch.setenv("REID_TOPK", "3")
    assert "REID_TOPK: no such setting; the nearest known name is REID_STORE" in refused("serve")
    assert not home.exists()


def test_check_says_what_is_wrong(home, monkeypatch, tiny_bundle):
    monkeypatch.setenv("REID_BUNDLE", "/nowhere")
    result = run("check")
    assert result.exit_code == 2
    assert f"REID_HOME={home}" in result.stdout
    assert "wrong: expected a bundle folder" in result.stderr
    assert "wrong: expected an API key in force" in result.stderr
    monkeypatch.setenv("REID_BUNDLE", str(tiny_bundle))
    run("keys", "create", "--scope", "read")
    assert run("check").stdout.endswith("nothing is wrong\n")


def test_check_makes_nothing(home, monkeypatch, tiny_bundle):
    monkeypatch.setenv("REID_BUNDLE", str(tiny_bundle))
    assert (
        run("check").stderr == "wrong: expected an API key in force, got none: reid-service keys create --scope read\n"
    )
    assert not home.exists()
    run("keys", "create", "--scope", "read")
    before = sorted(home.rglob("*"))
    assert run("check").exit_code == 0
    assert sorted(home.rglob("*")) == before == [home / "gallery.sqlite"]


def test_check_beside_a_running_service_finds_nothing_wrong(home, monkeypatch, tiny_bundle, embedder):
    monkeypatch.setenv("REID_BUNDLE", str(tiny_bundle))
    with serving(load_settings(), embedder):
        result = run("check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "REID_HOME is in use: a service runs on it\n" in result.stdout


def test_check_counts_the_sightings_that_another_bundle_embedded(home, monkeypatch, tiny_bundle):
    monkeypatch.setenv("REID_BUNDLE", str(tiny_bundle))
    gallery = open_gallery(home)
    gallery.enrol(EVERYONE, [crop("a"), crop("b")], fields())
    gallery.close()
    run("keys", "create", "--scope", "read")
    assert "wrong: 2 of 2 sightings have no vector of this bundle" in refused("check")


def test_a_store_that_is_no_database_is_refused_in_one_line(home):
    home.mkdir()
    (home / "gallery.sqlite").write_bytes(b"not a database" * 1000)
    assert "expected a SQLite store" in refused("keys", "list")
    (home / "gallery.sqlite").unlink()
    run("keys", "create", "--scope", "read")
    with sqlite3.connect(home / "gallery.sqlite") as connection:
        connection.execute("DROP TABLE keys")
    connection.close()
    assert "no such table: keys" in refused("keys", "list")


HELP = {
    (): ["serve", "check", "keys", "REID_HOME", "Exit status", "127.0.0.1:8000/docs"],
    ("serve",): ["--host", "--port", "REID_PORT", "SIGTERM", "REID_AUTH=off"],
    ("check",): ["exit 2", "beside a service"],
    ("keys",): ["create", "list", "revoke", "Only a hash"],
    ("keys", "create"): ["--scope", "--camera", "--name", "read, enrol, erase or admin", "once, on stdout"],
    ("keys", "list"): ["scopes", "cameras", "revoked"],
    ("keys", "revoke"): ["key_id", "keys list"],
}


@pytest.mark.parametrize("command", HELP)
def test_help_reads_like_a_manual_page(home, command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    text = re.sub(r"[\s│╭╮╰╯─]+", " ", result.stdout).lower()
    assert [words for words in HELP[command] if words.lower() not in text] == []
