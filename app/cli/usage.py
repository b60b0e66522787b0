"""``flask usage``: what clients have used, for support and for the bill."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any, TextIO

import click
from flask.cli import AppGroup
from sqlalchemy import select

from app.domain.clients import usage
from app.extensions import db
from app.models.base import utcnow
from app.models.client import Client

group = AppGroup("usage", help="What clients have used.")
_COLUMNS = (
    "client", "owner", "month", "segments_in", "segments_out", "messages_in", "messages_out",
    "media_in", "media_out", "call_minutes", "price", "numbers_monthly_cost", "total", "currency",
    "segments_threshold", "call_minutes_threshold", "over_threshold",
)  # fmt: skip


@group.command()
@click.option("--month", help="Such as 2026-11; the current UTC month if not given.")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="- is stdout.")
def report(month: str | None, file: Path | None) -> None:
    """Show each client's month and what to recover from it, the dearest first; or write a CSV."""
    try:
        month = usage.check_month(month or usage.month_of(utcnow()))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--month") from error
    usage.count()
    rows = sorted((_row(one, month) for one in _clients()), key=lambda row: -row["total"])
    if file is None:
        _show(rows, month)
    elif str(file) == "-":
        _write(rows, sys.stdout)
    else:
        with file.open("w", newline="", encoding="utf-8") as opened:
            _write(rows, opened)
        click.echo(f"Wrote {len(rows)} lines to {file}.")


def _clients() -> list[Client]:
    return list(db.session.scalars(select(Client).order_by(Client.name)))


def _row(client: Client, month: str) -> dict[str, Any]:
    found = usage.of_month(db.session(), client.id, month)
    figures = found.figures
    segments = figures.segments_in + figures.segments_out
    over = [
        name
        for name, used, allowed in (
            ("segments", segments, client.alert_segments),
            ("call minutes", figures.call_minutes, client.alert_call_minutes),
        )
        if allowed and used >= allowed
    ]
    return {
        "client": client.name,
        "owner": client.owner_email,
        "month": month,
        **{name: getattr(figures, name) for name in usage.FIGURES},
        "price": round(figures.price, 5),
        "numbers_monthly_cost": found.numbers_monthly_cost,
        "total": round(figures.price + found.numbers_monthly_cost, 2),
        "currency": found.currency,
        "segments_threshold": client.alert_segments,
        "call_minutes_threshold": client.alert_call_minutes,
        "over_threshold": " and ".join(over),
    }


def _show(rows: list[dict[str, Any]], month: str) -> None:
    click.echo(f"{month}: what each client has used, and what Twilio charges for it")
    for row in rows:
        mark = f"  OVER ITS THRESHOLD of {row['over_threshold']}" if row["over_threshold"] else ""
        click.echo(
            f"{row['client']:<24} {row['segments_in']:>8} in {row['segments_out']:>8} out"
            f" {row['call_minutes']:>7} min {row['price']:>10.2f}"
            f" + {row['numbers_monthly_cost']:>8.2f} = {row['total']:>10.2f}"
            f" {row['currency']}  {row['owner']}{mark}"
        )
    click.echo(f"Together: {sum(row['total'] for row in rows):.2f} USD")


def _write(rows: list[dict[str, Any]], opened: TextIO) -> None:
    writer = csv.DictWriter(opened, _COLUMNS)
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _plain(row[name]) for name in _COLUMNS})


def _plain(value: object) -> object:
    """Keep a spreadsheet from taking a name for a formula."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value
