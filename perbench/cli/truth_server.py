"""`perbench truth-server`: a model server by script that records what it really did, to judge load generators by."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

_Document = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command."""
    text = "Serve scripted answers and record when each byte really went, to judge a load generator by."
    app.command(name="truth-server", help=text)(truth_server)


def truth_server(
    host: str = typer.Option("127.0.0.1", help="Address to listen on."),
    port: int = typer.Option(0, min=0, max=65535, help="0: any that is free. The first line printed is the URL."),
    script: Path | None = typer.Option(
        None, help="YAML or JSON file of the script; the flags below replace its values."
    ),
    record: Path | None = typer.Option(None, help="File for the record (JSON lines)."),
    record_prompts: int = typer.Option(0, min=0, help="Characters of each prompt that the record keeps."),
    max_requests: int = typer.Option(1_000_000, min=1, help="Generations after which it ends."),
    max_seconds: float = typer.Option(3600.0, min=0.1, max=86_400, help="Seconds after which it ends."),
    tls_certificate: Path | None = typer.Option(None, help="PEM file; with --tls-key it speaks TLS."),
    tls_key: Path | None = typer.Option(None, help="PEM file."),
    api_key_variable: str | None = typer.Option(None, help="Environment variable with the key that is wanted."),
    model: str | None = typer.Option(None, help="Name of the model. [truth]"),
    seed: int | None = typer.Option(None, help="Of all that is drawn. [1]"),
    first_ms: str | None = typer.Option(None, help="To the first token: 20, exponential:20 or 5,10,20. [20]"),
    gap_ms: str | None = typer.Option(None, help="Between two chunks, in the same forms. [5]"),
    token_ms: str | None = typer.Option(None, help="Per token instead: a chunk of k takes k times this."),
    tokens: int | None = typer.Option(None, help="Where answers end by themselves. [at the request's limit]"),
    tokens_per_chunk: int | None = typer.Option(None, help="Tokens sent as one chunk. [1]"),
    first_chunk_tokens: int | None = typer.Option(None, help="Tokens of the first chunk. [as the others]"),
    text: list[str] | None = typer.Option(None, help="Text of a token; repeated: in turn. ['tok ']"),
    usage: str | None = typer.Option(None, help="as-asked, end, continuous, never or strict. [as-asked]"),
    counts_end_token: bool | None = typer.Option(None, "--counts-end-token", help="The end token is counted."),
    cached_share: float | None = typer.Option(None, help="Share of the prompt that usage calls cached."),
    headers: str | None = typer.Option(None, help="at-once, with-slot or with-first-token. [at-once]"),
    role: str | None = typer.Option(None, help="The chunk with the role: as --headers, or never. [with-first-token]"),
    chunks_per_write: int | None = typer.Option(None, help="Chunks that are sent together. [1]"),
    empty_every: int | None = typer.Option(None, help="An event without text before every so manieth chunk."),
    comments_ms: float | None = typer.Option(None, help="A comment line this often."),
    crlf: bool | None = typer.Option(None, "--crlf", help="Lines end with CR and LF."),
    split_at: list[int] | None = typer.Option(None, help="Byte at which writes are cut; may be repeated."),
    split_in_character: bool | None = typer.Option(
        None, "--split-in-character", help="Writes are cut inside a character of several bytes."
    ),
    split_ms: float | None = typer.Option(None, help="Between the parts of a write. [0.5]"),
    slots: int | None = typer.Option(None, help="Requests served at a time; others wait. [all]"),
    queue_limit: int | None = typer.Option(None, help="How many may wait; the next is refused. [all]"),
    overload: str | None = typer.Option(None, help="too-many-requests, unavailable or overload-event. [unavailable]"),
    offered_rate: float | None = typer.Option(None, help="Requests/s it will get; refused if it cannot keep up."),
    prompt_offset: float | None = typer.Option(None, help="Prompt tokens are offset + slope x words. [3]"),
    prompt_slope: float | None = typer.Option(None, help="[1]"),
    extra_requests: float | None = typer.Option(None, help="/metrics counts so many of others per request. [0]"),
    token_factor: float | None = typer.Option(None, help="/metrics counts generated tokens times this. [1]"),
    fault: list[str] | None = typer.Option(
        None, help="KIND[,share=S][,after=N][,requests=N][,chunk=N][,seconds=S]; may be repeated. docs/truth-server.md"
    ),
) -> None:
    """Exit 0: it ended at a limit or by a signal. 2: bad usage, such as a script that contradicts itself."""
    from pydantic import ValidationError

    from perbench.failures import UsageError

    try:
        from perbench_bench.truth.checks import first_mistake, read_script
        from perbench_bench.truth.serving import Serving, serve
    except ImportError as error:
        raise UsageError(f"the truth server is not installed ({error}): pip install 'perbench[bench]'") from error
    flags: _Document = {
        "model": model,
        "seed": seed,
        "timing": {"firstMs": first_ms, "gapMs": gap_ms, "tokenMs": token_ms},
        "answer": {
            "tokens": tokens, "tokensPerChunk": tokens_per_chunk, "firstChunkTokens": first_chunk_tokens, "texts": text,
            "usage": usage, "countsEndToken": counts_end_token, "cachedShare": cached_share,
        },
        "stream": {
            "headers": headers, "role": role, "chunksPerWrite": chunks_per_write, "emptyEvery": empty_every,
            "commentsMs": comments_ms, "crlf": crlf, "splitAt": split_at, "splitInCharacter": split_in_character,
            "splitMs": split_ms,
        },
        "queue": {"slots": slots, "limit": queue_limit, "overload": overload, "offeredRate": offered_rate},
        "prompt": {"offset": prompt_offset, "slope": prompt_slope},
        "metrics": {"extraRequests": extra_requests, "tokenFactor": token_factor},
        "faults": [_fault(text) for text in fault] if fault else None,
    }  # fmt: skip
    whole = read_script(_merged(_document(script), flags), str(script) if script else "the script")
    try:
        serving = Serving(
            host=host, port=port, record=record, record_prompts=record_prompts, max_requests=max_requests,
            max_seconds=max_seconds, tls_certificate=tls_certificate, tls_key=tls_key, api_key=_key(api_key_variable),
        )  # fmt: skip
    except ValidationError as error:
        raise UsageError(first_mistake(error)) from error
    serve(whole, serving)


def _document(path: Path | None) -> _Document:
    """The script's file as written. Raises UsageError."""
    import yaml

    from perbench.failures import UsageError

    if path is None:
        return {}
    try:
        document = yaml.safe_load(path.read_text("utf-8"))  # JSON is YAML
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise UsageError(f"{path}: not a script: write fields such as `timing: {{firstMs: 20}}`")
    return document


def _merged(document: _Document, flags: "Mapping[str, Any]") -> _Document:
    """The file's values, replaced by the flags that were given."""
    merged = dict(document)
    for name, value in flags.items():
        if isinstance(value, dict):
            within = merged.get(name)
            inner = _merged(within if isinstance(within, dict) else {}, value)
            if inner or isinstance(within, dict):
                merged[name] = inner
        elif value is not None and value != []:
            merged[name] = value
    return merged


def _fault(text: str) -> _Document:
    """KIND,share=0.1,after=10 as an object. Raises UsageError."""
    from perbench.failures import UsageError

    kind, *settings = text.split(",")
    fault: _Document = {"kind": kind}
    for setting in settings:
        name, equals, value = setting.partition("=")
        try:
            fault[name] = float(value) if name in {"share", "seconds"} else int(value)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"--fault {text}: {setting!r} is no setting: write KIND,share=0.1,after=10")
    return fault


def _key(variable: str | None) -> str | None:
    from perbench.failures import UsageError

    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"--api-key-variable {variable}: it holds no key: set it, or leave the flag out")
    return key
