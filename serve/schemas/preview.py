"""The answer of `POST /v1/preview`."""

from pydantic import BaseModel, ConfigDict

from serve.schemas.result import Quality


class PreviewImage(BaseModel):
    """One variant: the file, or why there is none."""

    model_config = ConfigDict(frozen=True)
    variant: str
    #: The file as a `data:` URL, ready for an `<img>`.
    data_url: str | None = None
    quality: Quality | None = None
    error: str | None = None


class PreviewAnswer(BaseModel):
    """All variants of one photo; images that the quality filter would stop are shown too, with its verdict."""

    model_config = ConfigDict(frozen=True)
    recipe: str
    recipe_version: int
    images: list[PreviewImage]
    timings_ms: dict[str, float]
