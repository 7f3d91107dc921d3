"""What perbench must know of a model server to start it, ask it, watch it and stop it."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar

from pydantic import JsonValue

from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.serving import Runtime as RuntimeName
from perbench.resources import MemoryOrigin
from perbench.runtimes.metrics import MetricNames

SECRET_FLAGS = frozenset({"--hf-token", "-hft", "--admin-api-key"})
"""Flags whose value is a secret: what was told a server stands in results, which are passed on."""
SCRATCH = "/tmp"  # noqa: S108 - a volume of the pod's own
"""A directory that a server in a pod may write to, whoever it runs as. It is its home, too."""
HUB_HOME = "/data"
"""Where model files of the hub are kept in a pod (`HF_HOME`): the same for all servers, so one volume does for all."""
CPU = "cpu"
"""Stands for the accelerators' resource where there are none."""
NOBODY = 65532
"""The user that a server runs as where its image has no other need: it has no name, and needs none."""
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 - in a pod


@dataclass(frozen=True)
class Image:
    """The container image that is used where the benchmark names none."""

    reference: str
    known: date
    """When it was last looked at: images move."""


@dataclass(frozen=True)
class ModelPlace:
    """What a server in a pod is to load."""

    name: str
    """`ORGANISATION/NAME` at the Hugging Face hub, or a path in the container."""
    revision: str | None = None
    """At the hub. None: its main branch."""

    @property
    def is_path(self) -> bool:
        """Whether the files are in the container already."""
        return self.name.startswith("/")


@dataclass(frozen=True)
class Duty:
    """All that the command line and the environment of one server in a pod depend on."""

    name: str
    """What results call the model."""
    place: ModelPlace
    args: tuple[str, ...] = ()
    """The user's own."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The user's own; they come over those of `environment`."""
    accelerators: int = 0
    """0: it computes on the CPU."""
    most_in_flight: int = 1
    """Requests that may be under way at the same time."""
    concurrency: int | None = None
    """Closed loop: requests that are. None: an open loop."""
    request_tokens: int | None = None
    """The context that one request may need at most, where the benchmark alone tells."""
    prefix_cache: bool = False
    offline: bool = False
    """Nothing can be downloaded: all files must be there."""


class Runtime(ABC):
    """One kind of model server. Constants say what it is; methods say how it is told what to do."""

    name: ClassVar[RuntimeName]
    images: ClassVar[Mapping[str, Image]]
    """Those of its publisher, by the domain of the accelerators' resource (`nvidia.com`), `cpu` without any."""
    port: ClassVar[int]
    """Where it listens in its container. Above 1023, which a user other than root may take."""
    health_path: ClassVar[str]
    """Answers 200 from when the model is ready, and not before."""
    metrics_path: ClassVar[str | None]
    metrics: ClassVar[MetricNames | None]
    """None: they are its own affair."""
    protocols: ClassVar[Mapping[PromptApi, Protocol]]
    """How it is spoken to, for each `load.api`."""
    stop_seconds: ClassVar[int]
    """How long it may take to end after SIGTERM with requests open."""
    counts_end_token: ClassVar[bool | None]
    """Whether its count of generated tokens includes the end token. None: not known."""
    can_force_length: ClassVar[bool]
    """Whether it takes `ignore_eos`."""
    shares_memory: ClassVar[bool]
    """Whether its processes need /dev/shm even with one accelerator."""
    takes_revision: ClassVar[bool] = True
    """Whether it can be told which commit of a hub's repository to load."""
    own_flags: ClassVar[frozenset[str]] = frozenset()
    """Flags that perbench gives it, or counts on not being given: the user's `args` may not hold them."""
    own_variables: ClassVar[frozenset[str]] = frozenset()
    """The same of `env`."""

    def memory_origin(self, accelerators: int) -> MemoryOrigin:
        """Whose memory counts."""
        return MemoryOrigin.DEVICE if accelerators else MemoryOrigin.PROCESSES

    def image_for(self, resource: str | None) -> Image | None:
        """Its publisher's image for accelerators of this resource (None: the CPU). None: there is none we know."""
        return self.images.get(resource.partition("/")[0] if resource else CPU)

    def user(self, image: str) -> int:
        """The user id that the server runs as in this image."""
        del image
        return NOBODY

    def command(self) -> tuple[str, ...]:
        """The words in place of the image's entry point. Empty: the image's own."""
        return ()

    @abstractmethod
    def arguments(self, duty: Duty) -> tuple[str, ...]:
        """The words after the entry point, the user's last. Empty: the image's own."""

    @abstractmethod
    def environment(self, duty: Duty) -> Mapping[str, str]:
        """Variables that say how it serves; the user's come over them."""

    def home(self, duty: Duty) -> Mapping[str, str]:
        """Variables that say where it may write and who it is. They change no figure."""
        return torch_home(duty)

    def request_model(self, duty: Duty) -> str:
        """What requests name as the model."""
        return duty.name

    def request_additions(self, *, prefix_cache: bool = False) -> Mapping[str, JsonValue]:
        """What every request body carries beside prompt and sampling.

        Where this says nothing of `cache_prompt`, servers of the OpenAI kind are asked for none on trial.
        """
        del prefix_cache
        return {}

    def mistake(self, duty: Duty) -> str | None:
        """Why it cannot be started so, for people. None: it can."""
        secret = next((name for word in duty.args if (name := word.partition("=")[0]) in SECRET_FLAGS), None)
        if secret is not None:
            return f"serving.args: {secret} would stand in the results: use serving.huggingFaceTokenSecretKeyRef"
        flag = next((name for word in duty.args if (name := word.partition("=")[0]) in self.own_flags), None)
        if flag is not None:
            return f"serving.args: {flag} is set by perbench: leave it out"
        variable = next((name for name in duty.variables if name in self.own_variables), None)
        return None if variable is None else f"serving.env: {variable} is set by perbench: leave it out"


def hub_home(duty: Duty) -> dict[str, str]:
    """Where libraries of the hub keep their files, and that they tell nobody about it."""
    return {
        "HF_HOME": HUB_HOME,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        **({"HF_HUB_OFFLINE": "1"} if duty.offline else {}),
    }


def torch_home(duty: Duty) -> dict[str, str]:
    """What servers built on torch need to run as a user without a name and a home.

    torch asks for the user's name as soon as it is imported, and a number that /etc/passwd does not hold is an error
    unless `USER` answers. torch, Triton, FlashInfer and Numba compile into caches below the home, or beside themselves.
    """
    return {
        **hub_home(duty),
        "HF_MODULES_CACHE": f"{SCRATCH}/hf-modules",  # code of models; HF_HOME may be read-only
        "HOME": SCRATCH,
        "USER": "perbench",
        "XDG_CACHE_HOME": f"{SCRATCH}/.cache",
        "TORCHINDUCTOR_CACHE_DIR": f"{SCRATCH}/torchinductor",
        "TRITON_CACHE_DIR": f"{SCRATCH}/triton",
        "NUMBA_CACHE_DIR": f"{SCRATCH}/numba",
        "DO_NOT_TRACK": "1",
    }


def has_flag(words: Sequence[str], names: Collection[str]) -> bool:
    """Whether one of these flags is among the words, as `--flag value` or `--flag=value`."""
    return any(word.partition("=")[0] in names for word in words)
