"""What a recipe would make of one photo, without store and index."""

import asyncio
import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from serve.batching.budget import Budget
from serve.catalog.fitting import fit_recipe
from serve.catalog.plan import PlannedShot, plan
from serve.darkroom import Darkroom, by_ground, declared_type, room_for
from serve.edition import Editions
from serve.errors import FaceBlurFailed, RequestError, ServeError
from serve.interfaces import Caller, FetchedBytes, Shot, ShotFailure
from serve.metrics import Metrics, Timings
from serve.schemas.preview import PreviewAnswer, PreviewImage

#: Stands where the tenant stands in object keys; previews are never stored.
_NO_TENANT = "preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Previewer:
    """Runs one photo through the darkroom and hands the files back."""

    editions: Editions
    darkroom: Darkroom
    images: Budget
    metrics: Metrics

    async def preview(self, body: bytes, recipe_name: str, variants: Sequence[str] = ()) -> PreviewAnswer:
        """All variants of the recipe, or those named.

        Raise `UnknownRecipe`, `RequestError` for an unknown variant, or `SourceError`.
        """
        edition = self.editions.current
        recipe = edition.catalog.recipe(recipe_name)
        if unknown := set(variants) - {variant.name for variant in recipe.variants}:
            raise RequestError(f"The recipe {recipe_name!r} has no variant {', '.join(map(repr, sorted(unknown)))}.")
        timings = Timings(self.metrics)
        fetched = FetchedBytes(body=body, sha256=hashlib.sha256(body).hexdigest())
        fitting = fit_recipe(recipe, lambda one: edition.catalog.channels_of(one.channels))
        channels = [one for variant in recipe.variants for one in edition.catalog.channels_of(variant.channels)]
        hides_faces = edition.catalog.blurs_faces(recipe, None, channels)
        planned = plan(
            fitting.recipe,
            tenant=_NO_TENANT,
            source_sha256=fetched.sha256,
            channels_for=lambda variant: edition.catalog.channels_of(variant.channels),
            models_for=edition.models_for,
            policy=self.darkroom.mark_policy,
        )
        planned = [one for one in planned if not variants or one.variant.name in variants]
        refused = [
            PreviewImage(variant=one.variant, error=str(one))
            for one in fitting.refusals
            if not variants or one.variant in variants
        ]
        refused += [_refusal(one) for one in planned if one.refusal]
        planned = [one for one in planned if one.refusal is None]
        # A person waits for it, who goes away when it takes too long: that cancels it.
        caller = Caller(_NO_TENANT, deadline=float("inf"))
        async with self.images.take(1, caller.tenant):
            source = await self.darkroom.decode(fetched, "preview", timings)
            planned = [one.from_source(declared_type(source)) for one in planned]
            refused += [_refusal(one) for one in planned if one.refusal]
            planned = [one for one in planned if one.refusal is None]
            async with self.darkroom.working_bytes.take(room_for(source, planned), caller.tenant):
                images: list[PreviewImage] = []
                for ground, some in by_ground(source, planned).items():
                    laid = await self.darkroom.laid_on(ground, source, fetched, timings)
                    if hides_faces:
                        if edition.faces is None:
                            raise FaceBlurFailed
                        laid = await self.darkroom.without_faces(laid, edition.faces, timings)
                    shots = await self.darkroom.develop(laid, some, edition.stages, caller, timings)
                    finishing = (self._finish(shot, one, timings) for shot, one in zip(shots, some, strict=True))
                    images += await asyncio.gather(*finishing)
        return PreviewAnswer(
            recipe=recipe.recipe,
            recipe_version=recipe.version,
            images=[*images, *refused],
            timings_ms=timings.milliseconds(),
        )

    async def _finish(self, shot: Shot | ShotFailure, planned: PlannedShot, timings: Timings) -> PreviewImage:
        name = planned.variant.name
        if isinstance(shot, ShotFailure):
            return PreviewImage(variant=name, error=shot.error.message)
        try:
            encoded, quality = await self.darkroom.encode(shot, planned, timings)
        except ServeError as error:
            return PreviewImage(variant=name, error=error.message, quality=shot.quality)
        url = f"data:{encoded.content_type};base64,{base64.b64encode(encoded.body).decode()}"
        return PreviewImage(variant=name, data_url=url, quality=quality)


def _refusal(planned: PlannedShot) -> PreviewImage:
    return PreviewImage(variant=planned.variant.name, error=planned.refusal.message if planned.refusal else None)
