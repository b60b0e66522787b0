"""The web forms of staff: server-rendered pages, usable without JavaScript.

``blueprint`` holds what belongs to a person (sign-in, account), ``client_blueprint`` what belongs
to one client; its routes get that client from the URL, as ``g.client``, after the person's
membership has been checked. See :mod:`app.staff.access`.
"""

from app.staff.access import blueprint, client_blueprint, init_app
from app.staff.entrance import (  # noqa: F401 - their routes join the blueprints
    accounts,
    by_provider,
    invitations,
    second_factor,
    second_step,
    sign_in,
)
from app.staff.inbox import (  # noqa: F401 - their routes join the blueprints
    conversation,
    conversations,
    home,
    inbox_marks,
    incoming,
    log_files,
    person,
    search,
)
from app.staff.lists import (  # noqa: F401 - their routes join the blueprints
    populations,
    suppressions,
    uploads,
)
from app.staff.numbers import (  # noqa: F401 - their routes join the blueprints
    number_care,
    number_page,
    number_routes,
    overview,
    recording_by_phone,
    recordings,
    verifications,
)
from app.staff.office import (  # noqa: F401 - their routes join the blueprints
    api_keys,
    credentials,
    help,
    history,
    office_hours,
    people,
    rotas,
    set_aside,
    settings,
    usage,
)
from app.staff.sending import (  # noqa: F401 - their routes join the blueprints
    batch_again,
    batch_files,
    batch_results,
    batches,
    calendar,
    communications,
    messages,
)
from app.staff.systems import (  # noqa: F401 - their routes join the blueprints
    deliveries,
    endpoints,
)
from app.staff.wordings import (  # noqa: F401 - their routes join the blueprints
    editing,
    wording_trials,
)

__all__ = ["blueprint", "client_blueprint", "init_app"]
