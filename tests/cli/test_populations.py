"""``flask populations import``: large files, with all that is wrong with them."""

from __future__ import annotations

from pathlib import Path

from flask.testing import FlaskCliRunner
from sqlalchemy import select

from app.models.audience import Member, Population
from tests.support.house import furnish
from tests.support.rows import Rows


def write(folder: Path, *rows: str) -> str:
    path = folder / "people.csv"
    path.write_text("\n".join(["Name,Phone", *rows]))
    return str(path)


def test_a_file_becomes_a_population(
    flask_command: FlaskCliRunner, rows: Rows, tmp_path: Path
) -> None:
    owner = furnish(rows).client
    people = [f"P{number},319555{number:04}" for number in range(2000, 4500)]
    arguments = ["populations", "import", owner.name, "students", write(tmp_path, *people)]
    assert "2,500 new, 0 changed" in flask_command.invoke(args=arguments).output
    assert rows.one(Population).name == "students"
    people[0] = "Ann,3195552000"
    write(tmp_path, *people[:2400])
    again = flask_command.invoke(args=[*arguments, "--replace"]).output
    assert "0 new, 1 changed, 2,399 the same as before, 100 removed" in again
    assert rows.count(Member) == 2400
    first = rows.one(select(Member).order_by(Member.id).limit(1))
    assert first.attributes == {"toName": "Ann", "toPhone": "+13195552000"}


def test_nothing_is_saved_while_rows_are_at_fault(
    flask_command: FlaskCliRunner, rows: Rows, tmp_path: Path
) -> None:
    owner = furnish(rows).client
    people = ["Ann,3195552000", *["Bob,12"] * 1500, "Cy,3195552001,x"]
    arguments = ["populations", "import", owner.name, "students", write(tmp_path, *people)]
    result = flask_command.invoke(args=arguments)
    assert result.exit_code == 1
    assert "Line 3: " in result.output
    assert "1,501 rows have mistakes" in result.output
    assert rows.count(Population) == 0
    taken = flask_command.invoke(args=[*arguments, "--skip"])
    assert "1 new" in taken.output
    assert "1,501 faulty rows left out" in taken.output
