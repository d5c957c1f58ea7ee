"""One figure of a channel's rules: what is required, who says so, since when, and from when it binds."""

from datetime import date
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

T = TypeVar("T")
#: When a source was read: a year and a month.
Month = Annotated[str, StringConstraints(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
Source = Annotated[str, StringConstraints(min_length=1)]


class Figure(BaseModel, Generic[T]):
    """One figure. Written bare, or with its source and `confirmed: false` where no primary text was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    value: T
    confirmed: bool = True
    #: Who says so, and when that was read; left out, as the channel says for all of its rules.
    source: Source | None = None
    read: Month | None = None
    #: The first day on which the rule binds; before it a breach is told and stops nothing.
    binds_from: date | None = Field(default=None, alias="from")
    note: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, data: Any) -> Any:
        return data if isinstance(data, dict | Figure) else {"value": data}

    def binds(self, on: date) -> bool:
        """Whether the rule is in force on this day."""
        return self.binds_from is None or on >= self.binds_from


class AddressForm(BaseModel):
    """What an address must look like under which a channel fetches an image."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    https: bool = False
    #: No `?...`, as presigned addresses have it.
    no_query: bool = False
    #: The path ends in a suffix of the file's real format.
    suffix: bool = False
    #: Allowed ports; empty for any.
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = []
    #: Characters of the whole address.
    max_length: Annotated[int, Field(ge=1)] | None = None
    ascii: bool = False
