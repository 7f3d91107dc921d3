"""A model of the Hugging Face hub: which file, at which commit, downloaded into the hub's own cache. A rim: network."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo

from perbench.failures import Blame, Failure, RunError, UsageError, shorten
from perbench.local.gguf_choice import choose_gguf, is_part
from perbench.local.gguf_file import check_gguf, sha256_of
from perbench.planning import licence_text

TIMEOUT_SECONDS = 30.0
"""For one answer of the hub; a download may take as long as it takes."""
INSTEAD = "or name a file: model: ./MODEL.gguf"


@dataclass(frozen=True)
class HubFile:
    """One file of a repository, on this machine."""

    path: Path
    name: str
    commit: str
    sha256: str
    licence: str | None


@dataclass(frozen=True)
class _Asked:
    """What was asked for, for messages."""

    repository: str
    revision: str | None
    where: str

    def mistake(self, what: str) -> UsageError:
        return UsageError(f"{self.where}: {self.repository}: {what}")


def find_hub_model(repository: str, revision: str | None, where: str, cache: Path | None = None) -> HubFile:
    """Resolve `revision` (default: main) to a commit, choose the GGUF file to serve, and download it.

    `cache`: None is the hub library's own. Raises UsageError and RunError as `sources.find_model` says.
    """
    endpoint = os.environ.get("HF_ENDPOINT")
    asked = _Asked(repository, revision, where)
    with _translated(asked):
        information = HfApi(endpoint=endpoint).model_info(
            repository, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
    commit = information.sha
    if commit is None:
        raise RunError(_failure("HubUnreachable", f"{repository}: the hub names no commit for {revision or 'main'}"))
    name = _chosen(information, asked, commit)
    with _translated(asked):
        path = Path(hf_hub_download(repository, name, revision=commit, cache_dir=cache, endpoint=endpoint))
    check_gguf(path, where)
    return HubFile(path, name, commit, _checked(path, information, name), _licence(information))


def _chosen(information: ModelInfo, asked: _Asked, commit: str) -> str:
    names = [sibling.rfilename for sibling in information.siblings or ()]
    name = choose_gguf(names)
    if name is not None:
        return name
    if any(is_part(candidate) for candidate in names):
        raise asked.mistake("has its GGUF models in several parts only; join them (llama-gguf-split --merge) and name"
                            " the file: model: ./MODEL.gguf")  # fmt: skip
    raise asked.mistake(f"has no GGUF file at {commit[:10]}, and LlamaCpp serves nothing else; often there is a"
                        f" repository of the same name with -GGUF")  # fmt: skip


def _checked(path: Path, information: ModelInfo, name: str) -> str:
    """The SHA-256 of the file, which must be what the hub says where it says it."""
    found = sha256_of(path)
    stated = next((s.lfs.sha256 for s in information.siblings or () if s.rfilename == name and s.lfs), None)
    if stated is not None and stated != found:
        message = (
            f"{path} is not what the hub has (SHA-256 {found[:10]}…, there {stated[:10]}…): delete it and run again"
        )
        raise RunError(_failure("DownloadFailed", message))
    return found


def _licence(information: ModelInfo) -> str | None:
    return licence_text(information.card_data.get("license") if information.card_data else None)


@contextmanager
def _translated(asked: _Asked) -> Iterator[None]:
    """Turn the hub library's errors into ours. The order is from special to general."""
    try:
        yield
    except GatedRepoError as error:
        raise asked.mistake("is gated: accept its terms on its page at the hub, then log in (hf auth login) or set"
                            " HF_TOKEN") from error  # fmt: skip
    except RepositoryNotFoundError as error:
        raise asked.mistake(f"is not at the hub, or is private: check the name, log in (hf auth login), {INSTEAD}"
                            ) from error  # fmt: skip
    except RevisionNotFoundError as error:
        raise asked.mistake(f"has no branch, tag or commit {asked.revision}") from error
    except HFValidationError as error:
        raise asked.mistake("is no id of a model at the hub (org/name)") from error
    except OfflineModeIsEnabled as error:
        raise asked.mistake(f"is at the hub, and HF_HUB_OFFLINE is set: unset it, {INSTEAD}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError) as error:
        cause = shorten(str(error).splitlines()[0] if str(error) else type(error).__name__, 300)
        message = f"{asked.repository}: the hub does not answer as it should: {cause}; try again, {INSTEAD}"
        raise RunError(_failure("HubUnreachable", message)) from error
    except OSError as error:
        message = f"{asked.repository}: the file cannot be stored: {error.strerror or error}"
        raise RunError(_failure("DownloadFailed", message)) from error


def _failure(reason: str, message: str) -> Failure:
    return Failure(blame=Blame.INFRASTRUCTURE, reason=reason, message=message)
