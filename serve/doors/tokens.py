"""Tokens of the door: what the file of their hashes says, and which entry a secret belongs to.

A secret is 256 random bits, so its plain SHA-256 is as hard to turn round as any slow hash of it: there is no list of
likely secrets to try. Slow hashes are for passwords, and would let strangers burn a core with every wrong guess.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import yaml
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from serve.catalog.unique_keys import UniqueKeys
from serve.schemas.listing import TenantId

#: Tells people and scanners of leaked secrets what this is.
PREFIX = "vtr_"
_SECRET_BYTES = 32
#: Longer ones are not even hashed.
_MAX_SECRET_CHARS = 256
_VERSION = 1


class Right(StrEnum):
    """What a token may do."""

    ENRICH = "enrich"  #: send events, ask for the capacity
    PREVIEW = "preview"  #: see what a recipe makes of a photo
    CATALOG = "catalog"  #: read recipes, channels and the API's page
    METRICS = "metrics"  #: read the figures
    ADMIN = "admin"  #: everything else, and all of the above


class Token(BaseModel):
    """One entry of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    #: Stands in logs and figures; never the secret.
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    #: Of the whole secret, 64 hex digits.
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    rights: Annotated[frozenset[Right], Field(min_length=1)]
    #: `*` for all; of other tenants no event is taken.
    tenants: Literal["*"] | Annotated[frozenset[TenantId], Field(min_length=1)]
    #: Requests that it may send in a second for long, and at once after a pause.
    per_second: Annotated[float, Field(gt=0, le=100_000)] = 50.0
    burst: Annotated[int, Field(ge=1, le=100_000)] = 100
    #: Requests and previews that it may have open at once.
    max_requests: Annotated[int, Field(ge=1)] = 64
    max_previews: Annotated[int, Field(ge=1)] = 4
    #: It lets nobody in from then on.
    expires: AwareDatetime | None = None

    def may(self, right: Right) -> bool:
        """Whether it carries the right."""
        return right in self.rights or Right.ADMIN in self.rights

    def speaks_for(self, tenant: str) -> bool:
        """Whether events of the tenant are taken from it."""
        return self.tenants == "*" or tenant in self.tenants


class RegisterInvalid(ValueError):
    """The file of tokens cannot be used; the message says why and never quotes it."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: Literal[1] = 1
    tokens: list[Token] = []


class Register:
    """The tokens that are known. No two of them share a name or a secret."""

    def __init__(self, tokens: Iterable[Token] = ()) -> None:
        self.tokens = tuple(tokens)
        for field in ("name", "sha256"):
            values = [getattr(token, field) for token in self.tokens]
            if len(set(values)) != len(values):
                raise RegisterInvalid(f"two tokens have the same {field}")

    def find(self, secret: str, now: datetime) -> Token | None:
        """The living token with this secret.

        Every entry is compared, each in the same time whatever it holds, so the time of an answer tells nothing.
        """
        digest = digest_of(secret)
        found: Token | None = None
        for token in self.tokens:
            if hmac.compare_digest(token.sha256, digest):
                found = token
        if found is None or (found.expires is not None and now >= found.expires):
            return None
        return found

    def named(self, name: str) -> Token | None:
        """The token of this name."""
        return next((token for token in self.tokens if token.name == name), None)


def digest_of(secret: str) -> str:
    """SHA-256 of a secret, in hex; one that is too long to be ours counts as empty."""
    kept = secret if len(secret) <= _MAX_SECRET_CHARS else ""
    return hashlib.sha256(kept.encode("utf-8", "surrogatepass")).hexdigest()


def new_secret() -> str:
    """A fresh secret of 256 random bits; it is shown once and stored nowhere."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def parse_register(text: str) -> Register:
    """Read the file, YAML or JSON; raise `RegisterInvalid`."""
    try:
        data: Any = yaml.load(text, Loader=UniqueKeys)  # noqa: S506 - a safe loader
        return Register(_File.model_validate({} if data is None else data).tokens)
    except ValidationError as error:
        reasons = (f"{'.'.join(map(str, one['loc']))[:200]}: {one['msg'][:200]}" for one in error.errors()[:5])
        raise RegisterInvalid("; ".join(reasons)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise RegisterInvalid(f"it is not YAML{where}") from None
    except RegisterInvalid:
        raise
    except Exception:  # noqa: BLE001 - what PyYAML raises of a wrong tag or date is of any kind
        raise RegisterInvalid("it cannot be read as YAML") from None


def write_register(register: Register) -> str:
    """The file as `parse_register` reads it."""
    tokens = [token.model_dump(mode="json", exclude_none=True) for token in register.tokens]
    for token in tokens:
        for field in ("rights", "tenants"):
            token[field] = token[field] if isinstance(token[field], str) else sorted(token[field])
    return yaml.safe_dump({"version": _VERSION, "tokens": tokens}, sort_keys=False)
