"""Tables that people upload and download, for whatever program: CSV files and Excel workbooks.

A file is read row by row, as often as its rows are asked for, so that its size costs no memory.
What is uncertain about it (encoding, separator, sheet, header) is guessed, told, and can be said
otherwise (:class:`Choices`).
"""

from __future__ import annotations

from app.domain.tables.csv_text import write, write_rows
from app.domain.tables.reading import Choices, Opened, open_table, read
from app.domain.tables.table import FaultyRows, Row, RowMistake, Table
from app.domain.tables.workbook_writing import write_workbook

__all__ = [
    "Choices",
    "FaultyRows",
    "Opened",
    "Row",
    "RowMistake",
    "Table",
    "open_table",
    "read",
    "write",
    "write_rows",
    "write_workbook",
]
