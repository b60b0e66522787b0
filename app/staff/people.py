"""People of a client: who may use its pages, and as what. Owners decide."""

from __future__ import annotations

from flask import abort, g, redirect, render_template, url_for
from flask_login import current_user
from flask_wtf import FlaskForm
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response
from wtforms import EmailField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Regexp

from app.domain import audit
from app.domain.wake import wake
from app.extensions import db, unit_of_work
from app.models.client import Client
from app.models.user import Membership, Role, User
from app.staff.access import client_blueprint, require_owner, say
from app.staff.invitations import GOOD_FOR_DAYS, mail_invitation

EMAIL = r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\"]+$"


class InvitationForm(FlaskForm):  # type: ignore[misc]
    """Whom to invite, and as what."""

    email = EmailField(
        "E-mail address",
        [
            Regexp(EMAIL, message="Enter one e-mail address, such as pat@example.edu."),
            Length(max=254, message="This address is too long."),
        ],
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
    email = form.email.data.strip().lower()
    with unit_of_work() as session:
        invited = _add_member(session, email, Role(form.role.data))
        _note(session, "invite", email, form.role.data)
        if invited.password_hash is None:
            mail_invitation(session, invited, current_user.email, g.client.name)
    wake("relay")
    if invited.password_hash is None:
        say(f"An invitation is on its way to {email}. It is good for {GOOD_FOR_DAYS} days.")
    else:
        say(f"{email} may use these pages now.")
    return redirect(url_for("client.people"))


@client_blueprint.post("/people/<user_id>/role")
def people_role(user_id: str) -> Response:
    """Make staff an owner, or an owner staff; the last owner stays one."""
    require_owner()
    member, email = _member(user_id)
    role = Role.STAFF if member.role is Role.OWNER else Role.OWNER
    with unit_of_work() as session:
        if role is Role.STAFF:
            _keep_an_owner(session, user_id)
        session.execute(
            update(Membership)
            .where(Membership.user_id == user_id, Membership.client_id == g.client.id)
            .values(role=role)
        )
        _note(session, "change role", email, role.value)
    say(f"{email} is {'an owner' if role is Role.OWNER else 'staff'} now.")
    return redirect(url_for("client.people"))


@client_blueprint.post("/people/<user_id>/remove")
def people_remove(user_id: str) -> Response:
    """Take a person's membership away; their account and their other clients stay."""
    require_owner()
    _, email = _member(user_id)
    with unit_of_work() as session:
        _keep_an_owner(session, user_id)
        session.execute(
            delete(Membership).where(
                Membership.user_id == user_id, Membership.client_id == g.client.id
            )
        )
        _note(session, "remove", email, None)
    say(f"{email} can no longer see {g.client.name}.")
    return redirect(url_for("client.people"))


def _page(form: InvitationForm) -> str:
    members = db.session.execute(
        select(User, Membership.role)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.client_id == g.client.id)
        .order_by(User.email)
    ).all()
    return render_template("staff/people.html", members=members, form=form, Role=Role)


def _add_member(session: Session, email: str, role: Role) -> User:
    user = session.scalar(select(User).where(User.email == email))
    if user is None:
        user = User(email=email)
        session.add(user)
        session.flush()
    membership = session.get(Membership, (user.id, g.client.id))
    if membership is None:
        session.add(Membership(user_id=user.id, client_id=g.client.id, role=role))
    else:
        if membership.role is Role.OWNER and role is Role.STAFF:
            _keep_an_owner(session, user.id)
        membership.role = role
    return user


def _member(user_id: str) -> tuple[Membership, str]:
    found = db.session.execute(
        select(Membership, User.email)
        .join(User, User.id == Membership.user_id)
        .where(Membership.user_id == user_id, Membership.client_id == g.client.id)
    ).one_or_none()
    if found is None:
        abort(404, "This person is not a member of this client.")
    return found[0], found[1]


def _keep_an_owner(session: Session, leaving: str) -> None:
    """Refuse to leave a client without an owner; its locked row makes two at once queue."""
    session.execute(select(Client.id).where(Client.id == g.client.id).with_for_update())
    others = session.scalar(
        select(func.count())
        .select_from(Membership)
        .where(
            Membership.client_id == g.client.id,
            Membership.role == Role.OWNER,
            Membership.user_id != leaving,
        )
    )
    if not others:
        abort(409, "A client needs an owner. Make somebody else an owner first.")


def _note(session: Session, action: str, email: str, role: str | None) -> None:
    details = {"role": role} if role else {}
    audit.record(session, current_user.email, action, f"person {email}", g.client.id, details)
