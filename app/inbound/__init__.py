"""Twilio calls us: texts, calls, and what became of our own."""

from flask import Blueprint

from app.inbound import answer, sms, status, verification, voice

blueprints: tuple[Blueprint, ...] = (
    sms.blueprint,
    status.blueprint,
    voice.blueprint,
    voice.reports,
    verification.blueprint,
    answer.blueprint,
    answer.reports,
)
