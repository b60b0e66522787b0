"""In which encoding a list of names is: told where it can be told, and asked where it cannot.

The names are common ones of each language; what is right is what Python's own codecs wrote.
"""

from __future__ import annotations

import pytest

from app.domain import tables
from app.domain.mistakes import Refused
from app.domain.tables import Choices, Row, RowMistake


def file_of(names: str, encoding: str) -> bytes:
    return "\r\n".join(["toName,toPhone", *(f"{one},1" for one in names.split())]).encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("utf-8", "Zoë José 王小明"),
        ("utf-8-sig", "Zoë"),
        ("utf-16", "Zoë 王小明"),
        ("utf-16-le", "Zoë José Müller"),
        ("utf-16-be", "Zoë José Müller"),
        ("utf-32", "Zoë"),
        ("cp1252", "Zoë"),
        ("cp1252", "Muñoz Núñez Ángel Sofía"),
        ("cp1252", "François Hélène Chloé Benoît Anaïs"),
        ("cp1252", "Müller Jürgen MÜLLER Strauß Söhne"),
        ("cp1252", "O’Brien"),
        ("cp1252", "Søren Åse Bjørn"),
        ("gb18030", "王小明 李娜 张伟 欧阳雪"),
        ("cp950", "王小明 陳怡君 林志玲"),
        ("cp932", "田中太郎 佐藤さくら 鈴木一郎"),
        ("cp949", "김철수 이영희 박지성 최민수"),
        ("cp1250", "Paweł Świątek Łukasz"),
        ("cp1251", "Иван Мария Сергей"),
        ("koi8_u", "Иван Мария Сергей"),
        ("mac_roman", "Zoë José Muñoz"),
        ("cp850", "Müller José"),
    ],
)
def test_the_usual_ones_are_recognised_and_certain(encoding: str, names: str) -> None:
    opened = tables.open_table(file_of(names, encoding))
    read = [row.values["toName"] for row in opened.table.rows() if isinstance(row, Row)]
    assert read == names.split()
    assert opened.sure


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("gb18030", "王小明"),
        ("cp949", "김철수"),
        ("cp1250", "Dvořák Jiří"),
        ("cp1254", "Şahin Yıldız"),
        ("cp1253", "Γιώργος"),
        ("cp1255", "דוד"),
        ("cp1256", "محمد"),
        ("euc_jp", "田中太郎"),
    ],
)
def test_where_it_is_not_certain_the_right_names_are_among_those_shown(
    encoding: str, names: str
) -> None:
    content = file_of(names, encoding)
    opened = tables.open_table(content)
    assert not opened.sure
    right = [one for one in opened.readings if list(one.names) == names.split()]
    assert right
    chosen = tables.open_table(content, Choices(encoding=right[0].encoding))
    assert chosen.sure
    rows = [row.values["toName"] for row in chosen.table.rows() if isinstance(row, Row)]
    assert rows == names.split()
    with pytest.raises(Refused, match=f"which encoding.*{names.split()[0]}"):
        tables.read(content)


@pytest.mark.parametrize(
    "written",
    [
        # What Windows writes beside names in English files (Word's AutoFormat, CLDR's symbols).
        "10\u00a0am",
        "319\u00a0555\u00a00100",
        "Ada\u00a0Lovelace",
        "Ada Lovelace\u00a0",
        "£10",
        "€5 fee",
        "5° outside",
        "½ hour",
        "1 ½",
        "§3",
        "• bring an ID",
        "5 – 7",
        "–",
        "“Intro”",
        "and so on…",
        "Acme®",
        "2ème",
        "café €5",
    ],
)
def test_marks_of_windows_are_not_letters_of_another_alphabet(written: str) -> None:
    content = f"toName,toPhone,note\r\nAda,3195550100,{written}\r\n".encode("cp1252")
    opened = tables.open_table(content)
    assert opened.used.encoding == "cp1252"
    (row,) = [row for row in opened.table.rows() if isinstance(row, Row)]
    assert row.values["note"] == written.strip()


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("cp1250", "Ákos Őri Szűcs Ágnes"),
        ("cp1250", "Győző Fűzfa"),
        ("cp1252", "Simões Conceição"),
        ("cp850", "Juárez"),
        ("gb18030", "王小明 5班 3月"),
        ("cp932", "山田さくら 5月"),
        ("cp1251", "Иван 5й"),
    ],
)
def test_nobody_is_silently_read_in_a_wrong_one(encoding: str, names: str) -> None:
    opened = tables.open_table(file_of(names, encoding))
    read = [row.values["toName"] for row in opened.table.rows() if isinstance(row, Row)]
    shown = [list(one.names) for one in opened.readings]
    beyond = [one for one in names.split() if not one.isascii()]
    assert read == names.split() if opened.sure else beyond in shown


def test_a_few_chinese_names_are_likeliest_chinese() -> None:
    assert tables.open_table(file_of("王小明", "gb18030")).used.encoding == "gb18030"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
def test_one_bad_byte_spoils_its_own_row_only(encoding: str) -> None:
    content = file_of("Zoë José 王小明 Müller 李娜 Bob", encoding)
    bad = {"utf-8": b"\xe9", "gb18030": b"\xff", "utf-16": b"\x00\xd8"}[encoding]
    content = content.replace("Bob".encode(encoding.replace("16", "16-le")), bad)
    rows = list(tables.open_table(content).table.rows())
    good = [row.values["toName"] for row in rows if isinstance(row, Row)]
    assert good == ["Zoë", "José", "王小明", "Müller", "李娜"]
    (wrong,) = [row for row in rows if isinstance(row, RowMistake)]
    assert wrong.line == 7
    assert "cannot be read" in wrong.message


def test_five_names_are_shown() -> None:
    names = "Dvořák Jiří Kateřina Řehoř Ondřej Jindřich Přemysl"
    opened = tables.open_table(file_of(names, "cp1250"))
    assert opened.readings[0].names == tuple(names.split()[:5])
