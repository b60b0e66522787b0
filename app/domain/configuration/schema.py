"""The sections of the configuration file, and what names the things in each."""

from __future__ import annotations

from app.domain.editing.specs import (
    ApiKeySpec,
    CommunicationSpec,
    CredentialSpec,
    EndpointSpec,
    MessagingServiceSpec,
    NumberSpec,
    PopulationSpec,
    RecordingSpec,
    SavedCredentialSpec,
    SuppressionListSpec,
    TemplateSpec,
    UserSpec,
)
from app.domain.specs import Spec

SECTIONS: dict[str, type[Spec]] = {
    "api_keys": ApiKeySpec,
    "users": UserSpec,
    "credentials": CredentialSpec,
    "saved_credentials": SavedCredentialSpec,
    "suppression_lists": SuppressionListSpec,
    "populations": PopulationSpec,
    "recordings": RecordingSpec,
    "templates": TemplateSpec,
    "endpoints": EndpointSpec,
    "numbers": NumberSpec,
    "messaging_services": MessagingServiceSpec,
    "communications": CommunicationSpec,
}
"""The lists of a client."""

IDENTITY: dict[str, str] = {
    "support_users": "email",
    "api_keys": "label",
    "users": "email",
    "numbers": "number",
}
"""By which key an item of a section is known; by its name otherwise."""
