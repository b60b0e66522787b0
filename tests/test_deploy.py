"""`deploy/` and docs/install.md say what is so: processes, settings, commands, files, backups."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import click
import pytest
from cryptography.fernet import Fernet
from flask import Flask

import config
from deploy import backup
from embedded import postgres

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
PROCESSES = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer"), *DEPLOY.glob("*.target")])
TEMPLATE = (DEPLOY / "dispatch.env").read_text()
PAGE = (ROOT / "docs/install.md").read_text()
REQUIRED = {
    "SECRET_KEY": "s" * 48,
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "DATABASE_URL": "postgresql://dispatch:secret@127.0.0.1/dispatch",
    "PUBLIC_BASE_URL": "https://dispatch.example.edu",
}


def unit(path: Path) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None, strict=False)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read(path)
    return read


# Processes -------------------------------------------------------------------------------------


def test_all_processes_of_the_procfile_belong_to_the_target() -> None:
    wanted = re.findall(r"^Wants=dispatch@(\S+)\.service$", _text("dispatch.target"), re.MULTILINE)
    assert wanted == list(PROCESSES)
    service = unit(DEPLOY / "dispatch@.service")["Service"]
    assert service["ExecStart"] == "/opt/dispatch/deploy/process %i"
    told = re.findall(r"`dispatch@([\w-]+)`", PAGE)
    assert set(told) <= set(PROCESSES)
    assert told


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_started_by_its_name_from_anywhere(name: str, tmp_path: Path) -> None:
    installed = tmp_path / "dispatch"
    programs = installed / ".venv/bin"
    programs.mkdir(parents=True)
    (installed / "deploy").mkdir()
    shutil.copy(ROOT / "Procfile", installed)
    shutil.copy(DEPLOY / "process", installed / "deploy")
    for program in ("gunicorn", "flask"):
        (programs / program).write_text('#!/bin/sh\necho "$PWD ${0##*/} $*"\n')
        (programs / program).chmod(0o755)
    said = subprocess.check_output([installed / "deploy/process", name], cwd="/", text=True)
    assert said == f"{installed.resolve()} {PROCESSES[name]}\n"


def test_a_process_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [DEPLOY / "process", "web-2"], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (64, "The Procfile has no process web-2.\n")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_name_what_is_there(path: Path) -> None:
    for place in re.findall(r"/opt/dispatch/(?!\.venv)([\w./-]+)", path.read_text()):
        assert (ROOT / place).exists()
    for module in re.findall(r"python -m ([\w.]+)", path.read_text()):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()
    if path.suffix == ".timer":
        assert path.with_suffix(".service").exists()
    if path.suffix == ".service":
        service = unit(path)["Service"]
        assert (service["User"], service["EnvironmentFile"]) == (
            "dispatch", "/etc/dispatch/dispatch.env",
        )  # fmt: skip
        assert (service["NoNewPrivileges"], service["ProtectSystem"]) == ("yes", "strict")


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("There is no systemd-analyze on this machine.")
    assert _verify(analyze, tmp_path / "ours") == ""
    assert "Resart" in _verify(analyze, tmp_path / "spoiled", ("Restart=", "Resart="))


def _verify(analyze: str, folder: Path, spoil: tuple[str, str] = ("", "")) -> str:
    """What it says of the units, of an installation in this folder of the project."""
    folder.mkdir()
    for path in UNITS:
        name = path.name.replace("@.", "@web.")
        text = path.read_text().replace("/opt/dispatch", str(ROOT)).replace(*spoil)
        (folder / name).write_text(text)
    units = sorted(folder.iterdir())
    done = subprocess.run(
        [analyze, "verify", "--man=no", *units], check=False, capture_output=True, text=True
    )
    return done.stderr


def test_nginx_finds_nothing_wrong_and_goes_by_the_template(tmp_path: Path) -> None:
    text = _text("nginx.conf")
    assert set(re.findall(r"proxy_pass http://([\d.]+:\d+)", text)) == {
        config.listen_address(settings_of(TEMPLATE))
    }
    assert re.findall(r"proxy_pass [^;]*\d/", text) == [], "the path is rewritten"
    if (nginx := shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")) is None:
        pytest.skip("There is no nginx on this machine.")
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    text = re.sub(r"(ssl_certificate_key )[^;]+", rf"\g<1>{key}", text)
    (tmp_path / "site").write_text(re.sub(r"(ssl_certificate )[^;]+", rf"\g<1>{certificate}", text))
    whole = f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{ include {tmp_path}/site; }}\n"
    (tmp_path / "nginx.conf").write_text(whole)
    command = [nginx, "-t", "-e", "stderr", "-c", tmp_path / "nginx.conf"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


# Settings --------------------------------------------------------------------------------------


def settings_of(text: str) -> dict[str, str]:
    """Read a file of settings as systemd does."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", ";"))]
    return dict(line.split("=", 1) for line in lines)


def test_the_template_names_every_setting_and_no_other() -> None:
    names = re.findall(r"^#?([A-Z_]+)=", TEMPLATE, re.MULTILINE)
    assert sorted(names) == sorted(config.SETTINGS)


def test_the_template_is_complete_once_the_first_are_filled_in() -> None:
    given = settings_of(TEMPLATE)
    assert [name for name, value in given.items() if not value] == [*REQUIRED, "SMTP_URL"]
    for name in REQUIRED:
        with pytest.raises(config.SettingsError, match=name):
            config.load(given | {one: REQUIRED[one] for one in REQUIRED if one != name})
    settings = config.load(given | REQUIRED)
    assert (settings.environment, settings.trusted_proxy_hops) == ("production", 1)
    state = unit(DEPLOY / "dispatch@.service")["Service"]["StateDirectory"]
    assert settings.instance == Path("/var/lib") / state


def test_what_is_shown_as_an_example_is_allowed() -> None:
    shown = settings_of(re.sub(r"^#(?=[A-Z_]+=)", "", TEMPLATE, flags=re.MULTILINE))
    config.load(shown | REQUIRED)


# The page --------------------------------------------------------------------------------------


def test_the_commands_of_the_page_are_there(app: Flask) -> None:
    told = re.findall(r"^    dispatch ([a-z ]+)", PAGE, re.MULTILINE)
    assert len(told) > 5
    for words in told:
        command: click.Command = app.cli
        for word in words.split():
            if not isinstance(command, click.Group):
                break
            found = command.get_command(click.Context(command), word)
            assert found is not None, words
            command = found
        assert not isinstance(command, click.Group), words


def test_the_files_of_the_page_are_there() -> None:
    named = set(re.findall(r"deploy/[\w.@-]+", PAGE)) - {"deploy/"}
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


def _text(name: str) -> str:
    return (DEPLOY / name).read_text()


# Backups ---------------------------------------------------------------------------------------


@pytest.fixture
def with_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL's own programs are found, as after `apt-get install postgresql`."""
    folder = Path(postgres.program("pg_dump")).parent
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.usefixtures("with_programs")
def test_a_backup_is_made_and_can_be_restored(
    app: Flask, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("DATABASE_URL", database_url)
    backup.main(["make", str(tmp_path)])
    (made,) = tmp_path.iterdir()
    assert made.stat().st_size > 10_000
    backup.main(["check", str(tmp_path)])
    newest = sorted((ROOT / "migrations/versions").glob("0*.py"))[-1].name[:4]
    assert capsys.readouterr().out == (
        f"{made} is written.\n{made} can be restored: a database at {newest}.\n"
    )
    backup.main(["check", str(tmp_path)])  # nothing of the first is in the way
    made.write_bytes(made.read_bytes()[: made.stat().st_size // 2])
    with pytest.raises(SystemExit, match="The backup failed: "):
        backup.main(["check", str(tmp_path)])


@pytest.mark.usefixtures("with_programs")
@pytest.mark.parametrize(
    "url", ["", "sqlite:////nowhere/dispatch.db", "postgresql://nobody:secret@127.0.0.1:1/none"]
)
def test_what_cannot_be_backed_up_leaves_no_backup_and_tells_no_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(SystemExit) as ended:
        backup.main(["make", str(tmp_path)])
    assert "The backup failed: " in str(ended.value)
    assert "secret" not in str(ended.value)
    assert [one for one in tmp_path.iterdir() if one.suffix != ".part"] == []
    with pytest.raises(SystemExit, match="there is no backup"):
        backup.main(["check", str(tmp_path)])


def test_backups_go_when_they_are_old(tmp_path: Path) -> None:
    for name, days in (("dispatch-1.dump", 15), ("dispatch-2.dump", 13), ("else.dump", 99)):
        (tmp_path / name).write_text("")
        then = time.time() - days * 86_400
        os.utime(tmp_path / name, (then, then))
    backup.forget(tmp_path, 14)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["dispatch-2.dump", "else.dump"]
