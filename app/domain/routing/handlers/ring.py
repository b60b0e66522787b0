"""``ring``: several people's phones ring, until one of them takes the call."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy.orm import Session

from app.domain import named
from app.domain.mistakes import Path, Reasons
from app.domain.routing.handlers.base import (
    HandlerSpec,
    Language,
    Nested,
    Place,
    Refers,
    Shown,
    TextBack,
    Voice,
    ended,
    texted_back,
)
from app.domain.routing.handlers.dialing import refuse_unreachable
from app.domain.specs import Name, Phone, Spec
from app.models.rota import Rota
from app.models.route import Destination, Route

MOST_PEOPLE = 10
"""Most phones that ring at once (Twilio, <Dial>: ten <Number>)."""
SECONDS = 20
"""How long a phone rings where nothing is said: before most mailboxes answer."""


Whisper = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class PersonSpec(Spec):
    """Somebody whose phone rings."""

    to: Annotated[Phone, Shown("Phone", hint="Phone", kind="tel")]
    name: Annotated[Name | None, Shown("Name", hint="Name")] = None
    seconds: Annotated[
        int, Field(ge=5, le=120), Shown("Seconds", hint=f"{SECONDS} seconds", kind="number")
    ] = SECONDS

    @property
    def known_as(self) -> str:
        """Say who it is."""
        return f"{self.name} ({self.to})" if self.name else self.to


class Ring(HandlerSpec):
    """Let several people's phones ring."""

    label = "Ring several people"
    hint = "One after the other or all at once, until somebody takes the call."
    destinations = (Destination.VOICE,)

    handler: Literal["ring"]
    people: Annotated[
        list[PersonSpec],
        Field(max_length=MOST_PEOPLE, default_factory=list),
        Shown(
            "People",
            f"Phone, name and for how many seconds it rings, 5 to 120. At most {MOST_PEOPLE}"
            " people; save, and there is room for more.",
            "rows",
        ),
    ]
    rota: Annotated[
        Name | None,
        Refers(Rota),
        Shown("Or whoever is on duty", "By a rota; write them under On duty.", empty="No rota"),
    ] = None
    strategy: Annotated[
        Literal["in_order", "all"],
        Shown(
            "Their phones ring",
            labels=(("in_order", "one after the other"), ("all", "all at once")),
        ),
    ] = "in_order"
    confirm: Annotated[
        bool,
        Shown(
            "Who takes the call presses 1",
            "Otherwise the mailbox of a mobile that is switched off takes it.",
            labels=(("true", "yes"), ("false", "no")),
        ),
    ] = True
    whisper: Annotated[
        Whisper | None,
        Shown(
            "Say to whoever picks up",
            "Before they are put through. The number of the caller, and which key to press, are"
            " said in any case.",
            "area",
        ),
    ] = None
    voice: Annotated[Voice | None, Shown("Voice", kind="voice", only_with="whisper")] = None
    language: Annotated[
        Language | None, Shown("Language", kind="language", only_with="whisper")
    ] = None
    """In one that we have no words in, the whisper alone is said: it has to name the key."""
    text_back: TextBack = None
    otherwise: Annotated[
        Nested | None,
        Shown("When nobody takes it", kind="route", empty="Say that nobody can take the call"),
    ] = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if bool(self.people) == bool(self.rota):
            found = "both" if self.people else "none"
            raise ValueError(f"Give exactly one of people and rota; there is {found}.")
        phones = [person.to for person in self.people]
        if twice := sorted({phone for phone in phones if phones.count(phone) > 1}):
            raise ValueError(f"{' and '.join(twice)} would ring twice.")
        if not self.whisper and (self.voice or self.language):
            raise ValueError("“voice” and “language” belong to “whisper”.")
        return self

    def rounds(self) -> list[list[int]]:
        """Return whose phones ring together, in their order: positions in the list of people."""
        everybody = list(range(len(self.people)))
        return [everybody] if self.strategy == "all" else [[one] for one in everybody]

    def sentence(self) -> str:
        """Say in words what it does, and what the route inside it does."""
        otherwise = self.otherwise.sentence() if self.otherwise else "says so."
        said = [self.summary(), f"When nobody takes it: {otherwise}", *texted_back(self.text_back)]
        return " ".join(said)

    def summary(self) -> str:
        """Say in words what it does itself."""
        how = "all at once" if self.strategy == "all" else "one after the other"
        if self.rota:
            said = [f"Rings whoever is on duty by the rota “{self.rota}”, {how}."]
        else:
            who = ", ".join(f"{one.known_as} for {one.seconds} seconds" for one in self.people)
            said = [f"Rings {how if len(self.people) > 1 else 'the phone of'}: {who}."]
        if self.whisper:
            said.append(ended(f"Who picks up hears “{self.whisper}”"))
        if self.confirm:
            said.append("Who takes the call presses 1.")
        return " ".join(said)

    def check(self, place: Place, reasons: Reasons) -> None:
        """Add why somebody may not be called."""
        phones: dict[Path, str] = {
            ("people", at, "to"): one.to for at, one in enumerate(self.people)
        }
        refuse_unreachable(place, phones, reasons)
        if self.rota:
            client_id = place.sender.client_id
            rota = reasons.get(named.require, place.session, Rota, client_id, self.rota, "rota")
            people = rota.people if rota else []
            whose: dict[Path, str] = {("", at): one["phone"] for at, one in enumerate(people)}
            found = Reasons()
            refuse_unreachable(place, whose, found)
            for mistake in found.mistakes:
                name = people[int(mistake.path[1])]["name"]
                reasons.add(f"{name}: {mistake.message}", "rota")

    def stored(self, place: Place, reasons: Reasons) -> dict[str, Any]:
        """Return the columns of the route, the people in its options."""
        columns = super().stored(place, reasons)
        people = [one.model_dump(exclude_none=True) for one in self.people]
        columns["options"].pop("people")
        if people:
            columns["options"]["people"] = people
        return columns

    @classmethod
    def read(cls, session: Session, route: Route) -> Self:
        """Return what is stored."""
        return cls._with_people(super().read(session, route))

    @classmethod
    def of(cls, options: dict[str, Any]) -> Self:
        """Return what the stored options say."""
        return cls._with_people(super().of(options))

    @classmethod
    def _with_people(cls, spec: Self) -> Self:
        """Return the specification with its people as such: they are stored as plain data."""
        stored = cast("list[Any]", getattr(spec, "people", []))
        people = [PersonSpec.model_construct(**one) for one in stored]
        return spec.model_copy(update={"people": people})
