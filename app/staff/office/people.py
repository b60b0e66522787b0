"""People of a client: who may use its pages, and as what. Owners decide."""

from __future__ import annotations

from flask import abort, g, redirect, render_template, url_for
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response
from wtforms import EmailField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from app.domain import mistakes
from app.domain.clients import people as members
from app.domain.clients.people import UserSpec
from app.domain.mistakes import Refused
from app.domain.wake import wake
from app.extensions import current_settings, db, unit_of_work
from app.models.client import Client
from app.models.user import Membership, Role, User
from app.staff.access import client_blueprint, require_owner, say
from app.staff.entrance.invitations import GOOD_FOR_DAYS, mail_invitation
from app.staff.forms import PageForm, show_mistakes


class InvitationForm(PageForm):
    """Whom to invite, and as what."""

    email = EmailField(
        "E-mail address", [InputRequired("Enter one e-mail address, such as pat@example.edu.")]
    )
    role = RadioField(
        "Role",
        choices=[SelectChoice(Role.STAFF.value, "Staff"), SelectChoice(Role.OWNER.value, "Owner")],
        default="staff",
    )


@client_blueprint.get("/people")
def people() -> str:
    """List who may use this client's pages."""
    return _page(InvitationForm(formdata=None))


@client_blueprint.post("/people")
def people_invite() -> Response | tuple[str, int]:
    """Invite somebody by e-mail, or give somebody who has an account a role here."""
    require_owner()
    form = InvitationForm()
    if not form.validate_on_submit():
        return _page(form), 422
    try:
        given = {"email": form.email.data.strip(), "role": form.role.data}
        spec = mistakes.parse(UserSpec, given)
        try:
            invited, is_new = _invite(spec)
        except IntegrityError:  # somebody else invites them just now
            invited, is_new = _invite(spec)
    except Refused as refused:
        show_mistakes(form, refused)
        return _page(form), 422
    email, has_passwords = invited.email, current_settings().local_passwords
    wake("relay")
    if is_new:
        good_for = f" It is good for {GOOD_FOR_DAYS} days." if has_passwords else ""
        say(f"An invitation is on its way to {email}.{good_for}")
    else:
        say(f"{email} may use these pages now.")
    return redirect(url_for("client.people"))


@client_blueprint.post("/people/<user_id>/role")
def people_role(user_id: str) -> Response:
    """Make staff an owner, or an owner staff; the last owner stays one."""
    require_owner()
    try:
        with unit_of_work() as session:
            user, member = _member(session, user_id)
            role = Role.STAFF if member.role is Role.OWNER else Role.OWNER
            client = session.get_one(Client, g.client.id)
            members.join(session, client, user, role, current_user.email)
    except Refused as refused:
        abort(409, str(refused))
    say(f"{user.email} is {'an owner' if role is Role.OWNER else 'staff'} now.")
    return redirect(url_for("client.people"))


@client_blueprint.post("/people/<user_id>/remove")
def people_remove(user_id: str) -> Response:
    """Take a person's membership away; their account and their other clients stay."""
    require_owner()
    try:
        with unit_of_work() as session:
            user, _ = _member(session, user_id)
            client = session.get_one(Client, g.client.id)
            members.leave(session, client, user, current_user.email)
    except Refused as refused:
        abort(409, str(refused))
    say(f"{user.email} can no longer see {g.client.name}.")
    return redirect(url_for("client.people"))


def _page(form: InvitationForm) -> str:
    found = db.session.execute(
        select(User, Membership.role, members.has_been_here())
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.client_id == g.client.id)
        .order_by(User.email)
    ).all()
    return render_template("staff/people.html", members=found, form=form, Role=Role)


def _invite(spec: UserSpec) -> tuple[User, bool]:
    """Let somebody work here; return them, and whether they have never signed in."""
    with unit_of_work() as session:
        client = session.get_one(Client, g.client.id)
        invited = members.account(session, spec.email, None).row
        members.join(session, client, invited, spec.role, current_user.email, "invite")
        been_here = session.scalar(select(members.has_been_here()).where(User.id == invited.id))
        if not been_here:
            mail_invitation(session, invited, current_user.email, client.name)
    return invited, not been_here


def _member(session: Session, user_id: str) -> tuple[User, Membership]:
    found = session.get(Membership, (user_id, g.client.id))
    if found is None:
        abort(404, "This person is not a member of this client.")
    return session.get_one(User, user_id), found
