"""Which Dispatch this is. The version stands in ``pyproject.toml`` and nowhere else."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

_PROJECT = Path(__file__).parent.parent / "pyproject.toml"

VERSION: Final[str] = tomllib.loads(_PROJECT.read_text())["project"]["version"]
"""By semantic versioning (semver.org) of the file, the API and what client systems are told."""
NAMED: Final = f"Dispatch/{VERSION}"
"""As it calls itself where it calls others (``User-Agent``, RFC 9110, 10.1.5)."""
