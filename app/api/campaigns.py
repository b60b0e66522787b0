"""Campaigns: folders of communications."""

from __future__ import annotations

from sqlalchemy import select

from app.api.auth import Caller
from app.api.operation import operation
from app.api.reading import Shape
from app.api.urls import Url, ids, owned, url
from app.extensions import db
from app.models.communication import Campaign, Communication
from app.models.credential import Scope


class CampaignObject(Shape):
    """A folder of communications."""

    id: str
    name: str
    communications: Url


@operation("GET", "/campaigns", Scope.READ, {200: list[Url]})
def collection(caller: Caller) -> list[str]:
    """List the URLs of the client's campaigns."""
    return [url("campaigns", one) for one in ids(Campaign, caller)]


@operation("GET", "/campaigns/<campaign_id>", Scope.READ, {200: CampaignObject})
def show(caller: Caller, campaign_id: str) -> CampaignObject:
    """Show one campaign."""
    campaign = owned(Campaign, caller, campaign_id, "campaign")
    communications = url("campaigns", campaign.id, "communications")
    return CampaignObject(id=campaign.id, name=campaign.name, communications=communications)


@operation("GET", "/campaigns/<campaign_id>/communications", Scope.READ, {200: list[Url]})
def communications(caller: Caller, campaign_id: str) -> list[str]:
    """List the URLs of a campaign's communications."""
    campaign = owned(Campaign, caller, campaign_id, "campaign")
    query = (
        select(Communication.id)
        .where(Communication.campaign_id == campaign.id)
        .order_by(Communication.id)
    )
    return [url("communications", one) for one in db.session.scalars(query)]
