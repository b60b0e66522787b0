"""What is left of an SQLite database when the power fails: what was synced, and nothing else.

SQLite reaches the disk through tables of functions (a "VFS", https://sqlite.org/vfs.html). This
puts a function of its own in the place of the one that syncs a file, and keeps a copy of each file
at its last sync: what a disk has that loses everything else.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_void_p, cast, pointer
from pathlib import Path
from typing import Any


class _Vfs(Structure):
    """``sqlite3_vfs``, version 3."""

    _fields_ = (
        ("version", c_int), ("file_size", c_int), ("path_length", c_int), ("next", c_void_p),
        ("name", c_char_p), ("data", c_void_p), ("open", c_void_p), ("rest", c_void_p * 15),
    )  # fmt: skip


class _Methods(Structure):
    """``sqlite3_io_methods``, version 3; a file begins with the address of its own."""

    _fields_ = (
        ("version", c_int), ("close", c_void_p), ("read", c_void_p), ("write", c_void_p),
        ("truncate", c_void_p), ("sync", c_void_p), ("rest", c_void_p * 13),
    )  # fmt: skip


_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)
_KEPT_FOR_EVER: list[object] = []
"""What SQLite may call as long as any of its files is open."""


class Disk:
    """A database and its write-ahead log, as they were synced last."""

    def __init__(self, database: Path, kept: Path) -> None:
        """`kept` is an empty folder for the copies."""
        self._database, self._kept = database, kept
        self._paths: dict[int, Path] = {}
        for path in (database, Path(f"{database}-wal")):
            if path.exists():
                shutil.copy(path, kept)

    def opened(self, file: int, path: Path) -> None:
        """Note which file of SQLite's this is."""
        self._paths[file] = path

    def synced(self, file: int) -> None:
        """Keep what a file holds now."""
        path = self._paths[file]
        if path in (self._database, Path(f"{self._database}-wal")):
            shutil.copy(path, self._kept)

    def after_power_loss(self, copy: Path) -> Path:
        """Return the database, in the new folder `copy`, that is found after a power failure."""
        shutil.copytree(self._kept, copy)
        return copy / self._database.name


@contextmanager
def watched(database: Path, kept: Path) -> Iterator[Disk]:
    """Keep what is synced to `database` by connections that are opened inside the block.

    :raises AttributeError: where Python has an SQLite that does not show its functions.
    """
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    theirs = library.sqlite3_vfs_find(None)
    disk = Disk(database, kept)
    ours = _Vfs.from_buffer_copy(theirs.contents)
    ours.name = b"watched"
    ours.open = cast(_opening(theirs, disk), c_void_p)
    _KEPT_FOR_EVER.append(ours)
    library.sqlite3_vfs_register(ctypes.byref(ours), 1)
    try:
        yield disk
    finally:
        library.sqlite3_vfs_register(theirs, 1)
        library.sqlite3_vfs_unregister(ctypes.byref(ours))


def _opening(theirs: Any, disk: Disk) -> Any:
    """Make the function that opens files so that their syncs are noticed."""
    their_open = _OPEN(theirs.contents.open)
    tables: dict[int, _Methods] = {}

    @_OPEN
    def open_file(_vfs: int, name: int | None, file: int, flags: int, given: Any) -> int:
        result = int(their_open(cast(theirs, c_void_p), name, file, flags, given))
        if result == 0 and name is not None:
            disk.opened(file, Path(ctypes.string_at(name).decode()))
            place = cast(file, POINTER(POINTER(_Methods)))
            address = ctypes.addressof(place.contents.contents)
            if address not in tables:
                tables[address] = _Methods.from_buffer_copy(place.contents.contents)
                tables[address].sync = cast(_syncing(tables[address].sync, disk), c_void_p)
            place[0] = pointer(tables[address])
        return result

    _KEPT_FOR_EVER.extend((open_file, tables))
    return open_file


def _syncing(address: int, disk: Disk) -> Any:
    their_sync = _SYNC(address)

    @_SYNC
    def sync(file: int, flags: int) -> int:
        result = int(their_sync(file, flags))
        if result == 0:
            disk.synced(file)
        return result

    _KEPT_FOR_EVER.append(sync)
    return sync
