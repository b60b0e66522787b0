"""The relay: events on their way to the clients' endpoints and to people's mailboxes."""

from __future__ import annotations

from flask import Flask, current_app


def drain() -> int:
    """Start on everything that is due; the job of the queue ``relay``.

    Does not wait for the tries: the threads that make them go on by themselves, so that the next
    wake-up finds the worker free.

    :returns: how many tries were started.
    """
    # Not above: the commands, and so the web process, import neighbours of this module and need not
    # pay for the HTTP library.
    from app.outbound.relay.dispatcher import dispatcher_of

    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    return dispatcher_of(app).start_due()
