"""What an operator sets, from `REID_*` variables: read once, checked whole, refused with the variable's name."""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.gallery.milvus.address import MilvusAddress
from service.gallery.redis.address import Fsync, RedisAddress
from service.gallery.stores import StoreAddress

PREFIX = "REID_"
OF_CLIENTS = ("REID_URL", "REID_KEY", "REID_MQTT")  # of the commands that ask a running service
DEFAULT_STORE = "sqlite://gallery.sqlite"


class SettingsError(ValueError):
    """A setting that does not exist or cannot have its value; the message names the variable."""


class Settings(BaseSettings):
    """Everything that can be set. Flags of the command win over the environment, the environment over defaults."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    home: Path = Field(default=Path("~/.local/share/reid"), description="folder of all that the service writes")
    store: str = Field(default=DEFAULT_STORE, description="records: sqlite://FILE inside REID_HOME, or redis://HOST")
    crops: Path | None = Field(default=None, description="a folder that all services over one Redis see, for its crops")
    redis_fsync: Fsync = Field(default="always", description="the weakest appendfsync to accept from Redis")
    index: str = Field(
        default="faiss://", description="vectors: faiss:// (in memory), milvus://HOST, or milvus-lite://"
    )
    bundle: str | None = Field(
        default=None, description="of a new gallery: bundle folder or name (default: the one shipped)"
    )
    device: str = Field(default="auto", description="auto, cpu, openvino, cuda, cuda:1 …; cuda:0,cuda:1: on each")
    detector: str | None = Field(
        default=None, description="finds people in whole frames: an .xml or .onnx file, or torchvision:NAME"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=1, le=65535, description="port to listen on")
    auth: Literal["keys", "off"] = Field(default="keys", description="keys, or off: then loopback only")
    datasets: Path | None = Field(default=None, description="accepted and ignored: for the trainer and the demo")
    max_body_bytes: int = Field(default=32 * 2**20, ge=1024, description="largest request body")
    max_archive_bytes: int = Field(default=2**36, ge=1024, description="largest archive to import")
    webhooks: Literal["public", "private"] = Field(
        default="public", description="public, or private: then webhooks may call inner addresses too, and plain http"
    )
    deadline_s: float = Field(default=10, gt=0, le=300, description="longest wait for the model, in seconds")
    requests_per_minute: int | None = Field(default=None, ge=1, description="of each key (default: no limit)")

    @field_validator("home", "crops")
    @classmethod
    def _absolute(cls, folder: Path | None) -> Path | None:
        return None if folder is None else folder.expanduser().absolute()

    @field_validator("store")
    @classmethod
    def _known_store(cls, store: str) -> str:
        if store.startswith(("redis://", "rediss://")):
            RedisAddress.parse(store)
        elif not re.fullmatch(r"sqlite://[^?#]+[^?#/]", store):
            raise ValueError("expected sqlite://FILE or redis://HOST")
        return store

    @field_validator("index")
    @classmethod
    def _known_index(cls, index: str) -> str:
        if index != "faiss://":
            MilvusAddress.parse(index)
        return index

    @model_validator(mode="after")
    def _open_door_only_at_home(self) -> Self:
        if self.auth == "off" and not is_loopback(self.host):
            raise ValueError(
                f"REID_AUTH=off serves without keys and needs a loopback REID_HOST (127.0.0.1), got {self.host!r}"
            )
        return self

    @model_validator(mode="after")
    def _crops_of_several(self) -> Self:
        if self.crops is not None and self.store.startswith("sqlite://"):
            raise ValueError("REID_CROPS is for services over one Redis: with SQLite, crops lie in REID_HOME")
        return self

    @property
    def devices(self) -> list[str]:
        """What crops are embedded on; all else runs on the first."""
        return self.device.split(",")

    @property
    def first_device(self) -> str:
        """What classifiers, actions and the detector run on, and searches without filters if it is a GPU."""
        return self.devices[0]

    @property
    def cache(self) -> Path:
        """What a start would otherwise work out again; it may be deleted at any time."""
        return self.home / "cache"

    @property
    def index_address(self) -> MilvusAddress | None:
        """The Milvus that keeps vectors to search; None: they are kept in memory."""
        return None if self.index == "faiss://" else MilvusAddress.parse(self.index)

    @property
    def store_address(self) -> StoreAddress:
        """Where the records are; a relative SQLite file lies inside `home`."""
        if not self.store.startswith("sqlite://"):
            return RedisAddress.parse(self.store, self.redis_fsync, self.crops)
        return self.home / self.store.removeprefix("sqlite://")


def load_settings(**flags: object) -> Settings:
    """Settings from the environment and from those `flags` that are not None.

    Raises SettingsError, in one line, for an unknown `REID_*` name or a value that cannot be.
    """
    refuse_unknown_names(os.environ)
    try:
        # Whatever a flag holds, pydantic checks it.
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        raise SettingsError("; ".join(_line(part) for part in error.errors())) from error


def refuse_unknown_names(environment: Mapping[str, str]) -> None:
    """Raise SettingsError for the first `REID_*` name that is no setting: a misspelt one must not pass unseen."""
    known = [variable(name) for name in Settings.model_fields]
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and name not in OF_CLIENTS:
            nearest = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise SettingsError(f"{name}: no such setting; the nearest known name is {nearest}")


def variable(field: str) -> str:
    """The environment variable of a field: `home` → `REID_HOME`."""
    return PREFIX + field.upper()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone. Names other than localhost are not trusted."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def masked(value: object) -> str:
    """A setting fit for a screen: the password inside a URL becomes `***`."""
    return re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:***@", str(value))


def _line(part: object) -> str:
    assert isinstance(part, dict)
    message = str(part["msg"]).removeprefix("Value error, ")
    if not part["loc"]:
        return message
    return f"{variable(str(part['loc'][0]))}: {message}, got {masked(part['input'])!r}"
