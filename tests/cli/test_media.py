"""``flask media``: files and contact cards for texts."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskClient, FlaskCliRunner

from tests.support.environment import PUBLIC_BASE_URL
from tests.support.house import furnish
from tests.support.rows import Rows

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def test_a_file_is_kept_and_its_address_printed(
    flask_command: FlaskCliRunner, rows: Rows, client: FlaskClient, tmp_path: Path
) -> None:
    owner = furnish(rows).client
    (tmp_path / "map.png").write_bytes(PNG)
    result = flask_command.invoke(args=["media", "add", owner.name, str(tmp_path / "map.png")])
    assert result.exit_code == 0, result.output
    url, kind = result.output.strip().split("  ")
    assert kind == "(image/png, 108 bytes)"
    assert client.get(url.removeprefix(PUBLIC_BASE_URL)).data == PNG


def test_a_card_is_made(flask_command: FlaskCliRunner, rows: Rows) -> None:
    owner = furnish(rows).client
    arguments = ["media", "vcard", owner.name, "--name", "Registrar", "--phone", "319-335-0000"]
    assert "(text/vcard, " in flask_command.invoke(args=arguments).output


def test_what_cannot_be_kept_is_said(
    flask_command: FlaskCliRunner, rows: Rows, tmp_path: Path
) -> None:
    owner = furnish(rows).client
    (tmp_path / "a.exe").write_bytes(b"MZ")
    wrong = flask_command.invoke(args=["media", "add", owner.name, str(tmp_path / "a.exe")])
    assert wrong.exit_code == 1
    assert "no kind that Twilio takes" in wrong.output
    card = flask_command.invoke(args=["media", "vcard", "nobody", "--name", "A"])
    assert "a phone or an e-mail" in card.output
    unknown = ["media", "vcard", "nobody", "--name", "A", "--email", "a@example.edu"]
    assert "no client “nobody”" in flask_command.invoke(args=unknown).output
