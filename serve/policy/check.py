"""Holds listings and photos against the policy of their tenant."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from serve.policy.hashes import HashList
from serve.policy.rules import Action, HashRule, Policy, TenantRules, TermRule
from serve.policy.terms import TermList
from serve.schemas.listing import Listing

#: How deep `attributes` are looked into.
_DEEPEST = 8
_NO_CHANGE = TenantRules()


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a listing or a photo meets."""

    rule: str
    action: Action
    #: For people: the rule's reason, and which of its terms was found.
    message: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The rules that hold for a tenant."""

    rules: Mapping[str, TermRule | HashRule]
    brands: TermList
    anywhere: TermList
    hashes: Mapping[str, HashList]
    blur_faces: bool


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """A policy ready for use. Thread-safe."""

    policy: Policy
    _all: _Compiled = field(init=False)
    _tenants: Mapping[str, _Compiled] = field(init=False)

    def __post_init__(self) -> None:
        tenants = {name: _compiled(self.policy, rules) for name, rules in self.policy.tenants.items()}
        object.__setattr__(self, "_all", _compiled(self.policy, _NO_CHANGE))
        object.__setattr__(self, "_tenants", tenants)

    def of_listing(self, listing: Listing) -> list[Finding]:
        """What the texts of a listing meet, a rejection first. Blocking: milliseconds for a long text."""
        rules = self._of(listing.tenant_id)
        hits = rules.brands.found(listing.brand or "") if rules.brands else {}
        if rules.anywhere:
            for text in _texts(listing):
                hits = rules.anywhere.found(text) | hits
        return _sorted(
            Finding(name, rules.rules[name].action, _message(rules, name, term)) for name, term in hits.items()
        )

    def of_photo(self, tenant: str, phash: str) -> list[Finding]:
        """What a photo meets, a rejection first."""
        rules = self._of(tenant)
        hits = [rules.rules[name] for name, known in rules.hashes.items() if known.holds(phash)]
        return _sorted(Finding(one.rule, one.action, f"{one.reason} ({one.rule})") for one in hits)

    def knows_photos(self, tenant: str) -> bool:
        """Whether photos of the tenant are held against any list."""
        return bool(self._of(tenant).hashes)

    def blurs_faces(self, tenant: str | None) -> bool:
        """Whether all photos of the tenant, or without one those of all, are made free of faces."""
        return self._of(tenant).blur_faces

    @property
    def may_blur_faces(self) -> bool:
        """Whether that holds for any tenant."""
        return any(one.blur_faces for one in (self._all, *self._tenants.values()))

    def _of(self, tenant: str | None) -> _Compiled:
        return self._tenants.get(tenant or "", self._all)


def _compiled(policy: Policy, own: TenantRules) -> _Compiled:
    terms = [one for one in policy.terms if one.rule not in own.without] + own.terms
    hashes = [one for one in policy.hashes if one.rule not in own.without] + own.hashes
    rules: list[TermRule | HashRule] = [*terms, *hashes]
    return _Compiled(
        rules={one.rule: one for one in rules},
        brands=TermList({one.rule: one.terms for one in terms if one.where == "brand"}),
        anywhere=TermList({one.rule: one.terms for one in terms if one.where == "anywhere"}),
        hashes={one.rule: HashList(one.hashes, one.within) for one in hashes},
        blur_faces=policy.blur_faces if own.blur_faces is None else own.blur_faces,
    )


def _message(rules: _Compiled, name: str, term: str) -> str:
    return f"{rules.rules[name].reason} ({name}: {term!r})"


def _sorted(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda one: (one.action != "reject", one.rule))


def _texts(listing: Listing) -> Iterator[str]:
    """What shoppers may read of a listing."""
    yield from filter(None, (listing.title, listing.description, listing.brand, listing.product_type))
    if listing.category is not None and listing.category.path:
        yield listing.category.path
    yield from listing.tags
    yield from _strings(listing.attributes, _DEEPEST)
    for variant in listing.variants:
        yield from variant.options.values()
    yield from (image.alt for image in listing.images if image.alt)


def _strings(value: object, deepest: int) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif deepest and isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one, deepest - 1)
    elif deepest and isinstance(value, list):
        for one in value:
            yield from _strings(one, deepest - 1)
