"""What events a load consists of, as a YAML file says it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from deploy.errors import DeployError
from deploy.loadtest.workload.planned import Kind, PhotoFault
from deploy.loadtest.workload.poison import Poison
from serve.catalog.loader import read_file

#: The mixes that come along, by name.
BUILT_IN: Mapping[str, Path] = {one.stem: one for one in sorted(Path(__file__).with_name("mixes").glob("*.yaml"))}
#: What can only happen to a listing that is there.
_FURTHER_ONLY = frozenset({Kind.HOT, Kind.OLDER, Kind.DUPLICATE})

T = TypeVar("T")


def _something(shares: dict[T, float]) -> dict[T, float]:
    if not any(shares.values()):
        raise ValueError("at least one share must be above 0")
    return shares


Share = Annotated[float, Field(ge=0, le=1)]
#: Not a percentage: what counts is the share of the sum.
Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Kinds = Annotated[dict[Kind, Weight], AfterValidator(_something)]
#: Room for a namespace in what Serve takes as a tenant.
_Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,200}$")]


class Mix(BaseModel):
    """Shares of everything. What is not said stays at the value given here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = ""
    #: Share of events that begin a new listing; the others are about one that is there.
    new_listings: Share
    #: Kinds of events that begin a listing, and of those that follow.
    first: Kinds
    further: Kinds = Field(default_factory=lambda: {Kind.PHOTOS: 1.0})
    #: Further events are about one of the listings that began last with this probability, else about any.
    recent_listings: Annotated[int, Field(ge=1, le=10_000)] = 100
    recent_share: Share = 0.8
    #: So many listings share the events of kind `hot`, from the beginning of the load to its end.
    hot_listings: Annotated[int, Field(ge=0, le=10_000)] = 0
    tenants: Annotated[dict[_Tenant, Weight], AfterValidator(_something)] = Field(
        default_factory=lambda: {"atelier": 1.0, "bazar": 1.0}
    )
    #: Priorities: each listing keeps to the topic that it began in, but for a share that uses all of them.
    topics: Annotated[dict[_Name, Weight], AfterValidator(_something)] = Field(
        default_factory=lambda: {"listings.new.high": 1.0, "listings.new": 7.0, "listings.new.low": 2.0}
    )
    several_topics: Share = 0.0
    recipes: Annotated[dict[_Name, Weight], AfterValidator(_something)] = Field(default_factory=lambda: {"studio": 1.0})
    #: Photos per event that has some. Serve works on the first 24.
    images: Annotated[dict[Annotated[int, Field(ge=1, le=100)], Weight], AfterValidator(_something)] = Field(
        default_factory=lambda: {1: 1.0}
    )
    #: Pixels of a photo's longer side.
    edges: Annotated[dict[Annotated[int, Field(ge=32, le=8000)], Weight], AfterValidator(_something)] = Field(
        default_factory=lambda: {1200: 1.0}
    )
    #: Distinct photos that all listings share; 0: every photo is a new file, so that nothing is found in the store.
    photo_reuse: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    #: Revisions that come too late have photos with this probability.
    older_with_photos: Share = 0.2
    #: What is wrong with the photos of `broken` events.
    faults: Annotated[dict[PhotoFault, Weight], AfterValidator(_something)] = Field(
        default_factory=lambda: dict.fromkeys(PhotoFault, 1.0)
    )
    #: What `bad` events are instead of events.
    poison: Annotated[dict[Poison, Weight], AfterValidator(_something)] = Field(
        default_factory=lambda: dict.fromkeys(Poison, 1.0)
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if wrong := [kind.value for kind, share in self.first.items() if share and kind in _FURTHER_ONLY]:
            raise ValueError(f"first: a listing cannot begin with {', '.join(wrong)}")
        # Junk alone leaves no listing for what follows.
        if self.new_listings < 1 and not any(
            share for kind, share in self.first.items() if kind not in (Kind.BAD, Kind.OVERSIZE)
        ):
            raise ValueError("first: no listing ever begins; new_listings must be 1 then")
        if self.further.get(Kind.HOT) and not self.hot_listings:
            raise ValueError("further: hot events need hot_listings above 0")
        return self

    @property
    def topics_used(self) -> tuple[str, ...]:
        """The topics that events go to."""
        return tuple(name for name, share in self.topics.items() if share)

    @property
    def recipes_used(self) -> tuple[str, ...]:
        """The recipes that events name."""
        return tuple(name for name, share in self.recipes.items() if share)

    @property
    def edges_used(self) -> tuple[int, ...]:
        """The sizes of photos that must be there, in pixels of the longer side."""
        return tuple(edge for edge, share in self.edges.items() if share)

    @property
    def has_photos(self) -> bool:
        """Whether any event names photos."""
        kinds = {kind for shares in (self.first, self.further) for kind, share in shares.items() if share}
        late = Kind.OLDER in kinds and self.older_with_photos > 0
        return late or bool(kinds & {Kind.PHOTOS, Kind.HOT, Kind.BROKEN})


def load_mix(path: Path | None = None) -> Mix:
    """Read a mix: a file, the name of one that comes along, or the default; raise `DeployError` with all its faults."""
    if path is None:
        path = BUILT_IN["default"]
    elif not path.exists():
        built_in = BUILT_IN.get(str(path))
        if built_in is None:
            raise DeployError(f"the mix {path} does not exist; those that come along are {', '.join(BUILT_IN)}")
        path = built_in
    mix, faults = read_file(path, Mix)
    if mix is None:
        raise DeployError("\n".join(str(fault) for fault in faults))
    return mix
