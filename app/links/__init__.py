"""What the world opens by an unguessable code: short links, media and recordings."""

from flask import Blueprint

from app.links import media, short

blueprints: tuple[Blueprint, ...] = (media.blueprint, short.blueprint)
