"""Numbers of a workbook as the person who looks at it sees them: dates, times, zeros in front."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

_NO_CODE: Final = re.compile(r'"[^"]*"|\\.|[_*].|\[(?![hms]+\])[^\[\]]*\]', re.IGNORECASE)
"""Of a number format: texts, spaces, colours and conditions (ECMA-376, 18.8.31)."""
_BUILT_IN: Final = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 34, 35, 36, *range(50, 59)), "yyyy-mm-dd"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), "h:mm:ss"),
    22: "yyyy-mm-dd h:mm",
    46: "[h]:mm:ss",
    11: "0.00e+00",
    48: "##0.0e+0",
    9: "0%",
    10: "0.00%",
}
"""Formats that every workbook knows by number, as far as they change what is read."""
_LONGEST: Final = 255
"""Most characters of a format."""
_DIGITS: Final = 15
"""Significant digits that Excel keeps."""
_LONG: Final = 10**9
"""Numbers as long as phones. One that shows an exponent and has six digits before its zeros was
made of ``3.19555E+09``, as spreadsheets do when they open such a file: its digits are lost."""
_DAY_SECONDS: Final = 86_400
_LAST_DAY: Final = 2_958_466
"""The day after 31 December 9999."""


@dataclass(frozen=True)
class Format:
    """What a cell's number format makes of a number."""

    date: bool = False
    time: bool = False
    elapsed: bool = False
    percent: bool = False
    scientific: bool = False
    width: int = 0
    """Digits at least, with zeros in front."""

    @property
    def is_plain(self) -> bool:
        """Whether the number is shown as it is."""
        return self == PLAIN


PLAIN: Final = Format()


def format_of(number: int, code: str | None) -> Format:
    """Read a number format: its number, and its code where the workbook says one."""
    text = _BUILT_IN.get(number, "") if code is None else code
    bare = _NO_CODE.sub("", text[:_LONGEST].split(";")[0]).lower()
    if "general" in bare:
        return PLAIN
    if set(bare) & set("dyhs") or re.fullmatch(r"m+", bare):
        time = "h" in bare or "s" in bare
        return Format(date="d" in bare or "y" in bare or not time, time=time, elapsed="[" in bare)
    if re.fullmatch("00+", bare):
        return Format(width=len(bare))
    return Format(percent="%" in bare, scientific="e+" in bare or "e-" in bare)


def shown(written: str, form: Format, *, since_1904: bool) -> str:
    """Return a cell's number as text: dates as ISO 8601 has them, whole numbers without a point.

    :param written: as XML has it; ``3.19555E+09`` there is exact, not what a person saw.
    :param since_1904: whether the workbook counts days from 1904.
    """
    try:
        value = float(written)
    except ValueError:
        return written
    if form.date or form.time:
        return _moment(value, form, since_1904) or written
    if form.percent:
        return f"{value * 100:.{_DIGITS - 2}g}%"
    if form.scientific and abs(value) >= _LONG and float(f"{value:.5E}") == value:
        return f"{value:.6G}".replace("e", "E")
    if value.is_integer() and abs(value) < 10**21:
        text = written if written.lstrip("-").isdecimal() else str(int(value))
        return text.zfill(form.width) if form.width and value >= 0 else text
    return f"{value:.{_DIGITS}g}"


def _moment(value: float, form: Format, since_1904: bool) -> str | None:
    if form.elapsed:
        seconds = round(value * _DAY_SECONDS)
        minutes, second = divmod(seconds, 60)
        return f"{minutes // 60}:{minutes % 60:02}:{second:02}" if 0 <= seconds < 10**9 else None
    if not 0 <= value < _LAST_DAY:
        return None
    first = datetime(1904, 1, 1) if since_1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - as written: no zone
    if not since_1904 and 1 <= value < 60:
        value += 1  # Excel counts a 29 February 1900
    at = first + timedelta(seconds=round(value * _DAY_SECONDS))
    clock = at.strftime("%H:%M:%S" if at.second else "%H:%M")
    if not form.date or value < 1:
        return clock if form.time or at.hour or at.minute else None
    has_time = form.time or bool(at.hour or at.minute or at.second)
    return f"{at:%Y-%m-%d} {clock}" if has_time else f"{at:%Y-%m-%d}"
