"""``flask errors check``: Twilio's published dictionary against the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask

KNOWN = {
    "code": 21610,
    "message": "Attempt to send to unsubscribed recipient",
    "log_level": "error",
}
NEW = {"code": 21999, "message": "Something\x1b[31m\nnew", "log_level": "warning", "product": "SMS"}
ELSEWHERE = {"code": 81000, "message": "A flow of Studio's", "log_level": "error"}


def check(app: Flask, file: Path, *options: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["errors", "check", str(file), *options])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("given", "options", "code", "shown"),
    [
        ([KNOWN], (), 0, []),
        ([NEW, KNOWN], (), 1, ["21999"]),
        ([ELSEWHERE, NEW, KNOWN], (), 1, ["21999"]),
        ([ELSEWHERE, NEW, KNOWN], ("--all",), 1, ["21999", "81000"]),
        ([{"code": "21998"}], (), 1, ["21998"]),
    ],
    ids=["all known", "one new", "other products' left out", "all", "as text, without words"],
)
def test_what_the_table_lacks(
    app: Flask, tmp_path: Path, given: list[object], options: tuple[str, ...], code: int,
    shown: list[str],
) -> None:  # fmt: skip
    file = tmp_path / "twilio-error-codes.json"
    file.write_text("\ufeff" + json.dumps(given), encoding="utf-8")
    exit_code, output = check(app, file, *options)
    *lines, sum_ = output.splitlines()
    assert [line.split()[0] for line in lines] == shown
    assert sum_.startswith(f"{len(shown)} of {len(given)} codes")
    assert exit_code == code
    assert "\x1b" not in output


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"[1]", b'[{"message": "no code"}]', b'[{"code": true}]', b"\xff\xfe",
     b"[" * 100_000, b'[{"code": 1.5}]', b'[{"code": "\xc2\xb2"}]'],
)  # fmt: skip
def test_another_file_is_refused_in_a_sentence(app: Flask, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "codes.json"
    file.write_bytes(content)
    exit_code, output = check(app, file)
    assert exit_code == 1
    assert "is not Twilio's error dictionary" in output
    assert "Traceback" not in output
