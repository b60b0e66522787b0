"""The WSGI application that gunicorn and the flask command serve."""

import sys

from app import create_app
from config import SettingsError

DO_NOT_RETRY = 3
"""The exit code by which a gunicorn worker says that another one would fail as well."""

try:
    app = create_app()
except SettingsError as error:
    sys.stderr.write(f"Dispatch cannot start: {error}\n")
    sys.exit(DO_NOT_RETRY)
