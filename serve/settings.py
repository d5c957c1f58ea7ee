"""Settings of the serving room, from the environment: `VITRINE_SERVE_<NAME>`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 2**20
#: In the environment: entries with commas between them.
Names = Annotated[tuple[str, ...], NoDecode]


class ServeSettings(BaseSettings):
    """Read once per replica. Numbers of replicas and of GPUs are no settings; they stand in deploy/serve.yaml."""

    model_config = SettingsConfigDict(
        env_prefix="VITRINE_SERVE_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    fetch_allow: Names = Field(
        default=(), description="Exact host:port pairs that photos may come from although local or plain http."
    )
    fetch_buckets: Names = Field(default=(), description="Buckets that s3:// addresses of photos may name.")
    fetch_files: Path | None = Field(
        default=None, description="Folder that file:// addresses may reach; without it they are refused."
    )
    fetch_max_bytes: int = Field(default=25 * MIB, ge=1024, description="Largest photo file.")
    fetch_timeout_s: float = Field(default=10.0, gt=0, description="Seconds for fetching one photo as a whole.")
    fetch_connect_timeout_s: float = Field(
        default=3.0,
        gt=0,
        description="Seconds for the addresses of a photo's host, and for connecting to each of them.",
    )
    fetch_read_timeout_s: float = Field(default=5.0, gt=0, description="Seconds that a photo's server may be silent.")
    fetch_per_host: int = Field(default=4, ge=1, description="Photos that a replica fetches from one host at once.")
    fetch_trip_after: int = Field(
        default=4, ge=1, description="Fetches in a row without an answer after which a host is left alone for a while."
    )
    fetch_rest_s: float = Field(
        default=15.0, gt=0, description="Seconds that a host is left alone at first; up to 16 times as long later."
    )
    fetch_cache_mib: int = Field(
        default=0,
        ge=0,
        description="Source photos kept on disk per node, in MiB, for `retention_days` at most; 0 keeps none.",
    )

    s3_endpoint: str | None = Field(default=None, description="Address of the S3 server; without it that of AWS.")
    s3_access_key: SecretStr | None = Field(
        default=None, description="Access key; without it boto3 looks in its usual places."
    )
    s3_secret_key: SecretStr | None = Field(default=None, description="Secret key that goes with the access key.")
    s3_region: str = Field(default="us-east-1", description="Region of the bucket.")
    s3_bucket: str = Field(default="vitrine", description="Bucket for the finished images; it must exist.")

    s3_sse: Literal["none", "AES256", "aws:kms"] = Field(
        default="none", description="Encryption that the store is asked for with every image: its own keys, or KMS."
    )
    s3_kms_key_id: str | None = Field(
        default=None, min_length=1, description="Key of KMS; without it the store's default one. With aws:kms only."
    )

    state_dir: Path = Field(default=Path(".vitrine/serve"), description="Folder for the embedded index.")
    index_url: SecretStr | None = Field(
        default=None, description="SQLAlchemy address of the result index; without it SQLite in the state folder."
    )
    index_keep_days: int = Field(
        default=30, ge=1, description="Days that answers are known for; longer than the event topics keep their events."
    )

    retention_days: float = Field(
        default=1.0,
        ge=0,
        le=3650,
        description="Days that source photos may lie in a cache; 0 keeps none. Finished images stay until deletion.",
    )
    face_weights: Path | None = Field(
        default=None, description="CenterFace file (ONNX) to use instead of the one that the extra `faces` brings."
    )
    face_score: float = Field(default=0.5, gt=0, lt=1, description="How sure it must be that something is a face.")
    face_limit_s: float = Field(default=10.0, gt=0, description="Seconds for finding the faces of one photo.")

    catalog_dir: Path | None = Field(
        default=None,
        description="Folder with further recipes/, channels/ and, to replace the built-in, quality.yaml and "
        "policy.yaml.",
    )
    default_recipe: str = Field(default="studio", description="Recipe for listings that name and match none.")

    device: str = Field(default="cpu", description="Where nets compute: cpu, cuda or cuda:N.")
    threads: int = Field(default=1, ge=1, description="CPU threads of one computation (torch and OpenCV).")
    slots: int = Field(default=1, ge=1, description="Batches that a replica computes at once.")
    batch_shots: int = Field(default=8, ge=1, description="Images of a batch; more pay off on a GPU.")
    batch_mib: int = Field(default=512, ge=16, description="Pictures of a batch, in MiB.")
    deterministic: bool = Field(
        default=False,
        description="On a GPU: fill every batch of a net up to `batch_shots`, so that the same event gives the same "
        "bytes in whatever company it is computed; costs throughput. On a CPU it always does.",
    )
    stuck_after_s: float = Field(
        default=300.0, gt=0, description="Seconds after which a running batch counts as stuck, and the replica as sick."
    )
    cutout: Literal["learned", "grabcut"] = Field(
        default="learned", description="What cuts products out: the product net, or GrabCut, which needs no weights."
    )
    product_weights: str | None = Field(
        default=None, description="Product net to use instead of the bundled one: a folder, a file, or s3://bucket/key."
    )
    recognise: bool = Field(
        default=True, description="Tell in results what photos show, and words about it; with the learned cut-out only."
    )
    attribute_weights: str | None = Field(
        default=None,
        description="Heads of recognition instead of the bundled ones; they belong to one product net.",
    )
    read_text: bool = Field(
        default=False, description="Read the text in photos, too; needs the extra `ocr` and about a second per photo."
    )
    read_text_limit_s: float = Field(default=5.0, gt=0, description="Seconds for the text of one photo.")
    judge_photos: bool = Field(
        default=True, description="Let a net judge photos as they come: `photo_score` in quality.yaml."
    )
    quality_weights: str | None = Field(default=None, description="Quality net to use instead of the bundled one.")
    restore: bool = Field(
        default=False, description="Let a net take noise, blur and JPEG's traces out, where a recipe has `enhance`."
    )
    restoration_weights: str | None = Field(
        default=None, description="Restoration net to use instead of the bundled one."
    )
    style_weights: str | None = Field(
        default=None, description="Style net to use instead of the bundled one: a folder, a file, or s3://bucket/key."
    )

    metadata: Literal["strip", "keep_rights", "keep_provenance"] = Field(
        default="strip",
        description="What outputs keep of their photo's own metadata: nothing, its rights fields (creator, notice, "
        "credit, terms, page), or also its sha256 and what it said of its making. EXIF and places are never kept.",
    )
    label_texts: dict[str, str] = Field(
        default={},
        description='Words of the visible label by language, as JSON, over {"en": "AI-generated", "zh": "AI生成"}; '
        "`en` is for all others. Drawn only where a channel demands it.",
    )
    label_font: Path | None = Field(
        default=None, description="Font file for labels that the built-in letters cannot write."
    )
    aigc_producer: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Name or registration code of whoever answers for the images, for the AIGC metadata of GB 45438.",
    )
    c2pa: bool = Field(
        default=False, description="Sign Content Credentials into every image, and not only where a channel asks."
    )
    c2pa_certificates: Path | None = Field(
        default=None, description="PEM file with the signing certificate, then its chain; needs the extra `c2pa`."
    )
    c2pa_key: SecretStr | None = Field(
        default=None, description="Private key of that certificate: PKCS #8 PEM, or the path of such a file."
    )
    c2pa_algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = Field(
        default="es256", description="Signature algorithm; it must fit the key."
    )
    watermark: bool = Field(
        default=False, description="Put the invisible watermark into every image, and not only where a channel asks."
    )
    watermark_secret: SecretStr | None = Field(
        default=None, description="Whoever knows it can read, forge and remove the watermark; without it, everybody."
    )

    max_images: int = Field(default=24, ge=1, description="Photos of a listing that are worked on.")
    max_pixels: int = Field(default=50_000_000, ge=1, description="Largest photo in pixels.")
    decode_memory_mib: int = Field(
        default=512,
        ge=128,
        description="Resident memory of a decode worker, in MiB; a photo that needs more is refused.",
    )
    decode_cpu_s: float = Field(default=4.0, gt=0, description="Seconds of CPU time for decoding one photo.")
    decode_wall_s: float = Field(
        default=15.0, gt=0, description="Seconds on the wall for decoding one photo, waiting for the CPU included."
    )
    images_in_work: int = Field(default=6, ge=1, description="Photos that a replica works on at once.")
    photo_wait_s: float = Field(
        default=60.0,
        gt=0,
        description="Seconds that an event waits for its first photo to start before it is sent back.",
    )
    working_mib: int = Field(default=1024, ge=64, description="Decoded pictures that a replica holds at once, in MiB.")
    picture_threads: int = Field(
        default=1, ge=1, description="Decode workers of a replica (one more is kept ready), and threads that encode."
    )
    blocking_threads: int = Field(default=8, ge=1, description="Threads of a replica that wait for store and index.")

    door_tokens: Path | None = Field(
        default=None,
        description="File of token hashes, made by `vitrine tokens`; without it nobody is asked for a token, and only "
        "this machine is let in.",
    )
    open_door: bool = Field(
        default=False,
        description="Let in whoever reaches the port, without tokens: the network must keep strangers out.",
    )
    door_max_requests: int = Field(default=180, ge=1, description="Requests that an ingress has open at once.")
    door_max_previews: int = Field(default=8, ge=1, description="Previews among them.")
    door_body_idle_s: float = Field(default=10.0, gt=0, description="Seconds without a byte of a body on its way.")
    door_body_s: float = Field(default=60.0, gt=0, description="Seconds for the whole body of a request.")

    capacity_ttl_s: float = Field(default=2.0, gt=0, description="Seconds between looks at the number of replicas.")
    retry_after_s: float = Field(default=1.0, gt=0, description="What a 503 answer asks its sender to wait.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")

    @field_validator("fetch_allow", "fetch_buckets", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _key_needs_kms(self) -> Self:
        if self.s3_kms_key_id is not None and self.s3_sse != "aws:kms":
            raise ValueError("s3_kms_key_id goes with s3_sse=aws:kms only")
        return self

    @property
    def index_address(self) -> str:
        """The address of the index that is used; it may carry a password."""
        if self.index_url is not None:
            return self.index_url.get_secret_value()
        return f"sqlite:///{self.state_dir.absolute() / 'index.db'}"
