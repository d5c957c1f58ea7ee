"""Settings of the command line and of the local services."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _cache_home() -> Path:
    return Path("~/.cache").expanduser()


class DeploySettings(BaseSettings):
    """Read from `VITRINE_DEPLOY_*`; options of the command line go first."""

    model_config = SettingsConfigDict(env_prefix="VITRINE_DEPLOY_", frozen=True)

    state_dir: Path = Field(
        default=Path(".vitrine"), description="Folder for the state file, the logs and the data of local services."
    )
    cache_dir: Path | None = Field(
        default=None,
        description="Folder for the Kafka jars and the versitygw binary; `$XDG_CACHE_HOME/vitrine` when empty.",
    )
    access_key: str = Field(default="vitrine", description="S3 access key of local stores, and of `--endpoint`.")
    secret_key: str = Field(
        default="vitrine-local-only", description="S3 secret key of local stores, and of `--endpoint`."
    )
    region: str = Field(default="us-east-1", description="S3 region.")
    bucket: str = Field(default="vitrine", description="S3 bucket for the finished images; created if missing.")
    partitions: int = Field(default=6, ge=1, description="Partitions of topics that are created here.")
    start_timeout_s: float = Field(default=90, gt=0, description="Seconds a local service may take to get ready.")
    serve_timeout_s: float = Field(default=300, gt=0, description="Seconds Ray Serve may take to get ready.")
    stop_timeout_s: float = Field(
        default=35, ge=0, description="Seconds a local service may take to stop before it is killed."
    )
    loadtest_photos: str | None = Field(
        default=None,
        pattern=r"^[^:/\s]+:\d{1,5}$",
        description="HOST:PORT on which a load test of given services serves its photos, as Serve's nodes reach it and "
        "`VITRINE_SERVE_FETCH_ALLOW` there names it; without it the address that faces them, and any port.",
    )
    debug: bool = Field(default=False, description="Show the Python stack of errors on the command line.")
