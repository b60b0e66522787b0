"""The web forms of staff: server-rendered pages, usable without JavaScript.

``blueprint`` holds what belongs to a person (sign-in, account), ``client_blueprint`` what belongs
to one client; its routes get that client from the URL, as ``g.client``, after the person's
membership has been checked. See :mod:`app.staff.access`.
"""

from app.staff import (  # noqa: F401 - their routes join the blueprints
    accounts,
    api_keys,
    batches,
    communications,
    credentials,
    deliveries,
    endpoints,
    help,
    history,
    home,
    inbox,
    inbox_marks,
    invitations,
    messages,
    number_care,
    number_page,
    number_routes,
    numbers,
    people,
    populations,
    recordings,
    set_aside,
    settings,
    sign_in,
    suppressions,
    usage,
    verifications,
    wording_trials,
    wordings,
)
from app.staff.access import blueprint, client_blueprint, init_app

__all__ = ["blueprint", "client_blueprint", "init_app"]
