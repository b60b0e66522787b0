"""What the world opens by an unguessable code: media and recordings."""

from flask import Blueprint

from app.links import media

blueprints: tuple[Blueprint, ...] = (media.blueprint,)
