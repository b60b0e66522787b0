"""Dispatch: answers Twilio numbers and speaks for them."""

from __future__ import annotations

from flask import Flask

import config
from app import answer_times, api, cli, extensions, health, inbound, links, logging, problems, staff
from app.domain.content import budget


def create_app(settings: config.Settings | None = None) -> Flask:
    """Make the application.

    :param settings: read from the environment when not given.
    :raises config.SettingsError: when a setting is missing or malformed.
    """
    settings = settings or config.load()
    app = Flask(__name__)
    app.config["SECRET_KEY"] = settings.secret_key
    app.config["SECRET_KEY_FALLBACKS"] = list(settings.secret_key_fallbacks)
    logging.init_app(app, settings)
    extensions.init_app(app, settings)
    problems.init_app(app)
    answer_times.init_app(app)
    app.before_request(budget.begin)
    app.teardown_request(budget.end)
    for blueprint in (health.blueprint, *inbound.blueprints, *links.blueprints, *api.blueprints):
        app.register_blueprint(blueprint)
    staff.init_app(app)
    cli.init_app(app)
    return app
