"""`text-generation-launcher`: the model server, then the web server, then the end of both, with the real one's log."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.images.tgi_contract import arguments as args
from tests.images.tgi_contract import log
from tests.images.tgi_contract.arguments import Arguments, LauncherExitError, Limits
from tests.images.tgi_contract.engine import Engine, Settings
from tests.images.tgi_contract.llama_model import LlamaModel, connect
from tests.images.tgi_contract.metrics import Metrics
from tests.images.tgi_contract.model import ModelError
from tests.images.tgi_contract.models import ModelNotFoundError, model_file
from tests.images.tgi_contract.routes import Identity, Routes
from tests.images.tgi_contract.server import Server, check_free, listen
from tests.images.tgi_contract.shard_process import Shard, ShardSettings, ShardStartError, running_shard
from tests.images.tgi_contract.validation import Rules

SUPPORTED_TOKENS = 16384
"""Tokens of the KV cache at CUDA_MEMORY_FRACTION=1: what the memory of a graphics card would be to the real server."""
SLOTS = 32
"""Sequences that run at the same time, at most; more wait. The real server is bound by its KV cache alone."""
SHARD_POLL_SECONDS, SHARD_REPORT_SECONDS = 0.1, 10.0
LOAD_SECONDS = "TGI_CONTRACT_LOAD_SECONDS"
"""Variable: so much later is the model loaded, for tests of a server that takes its time."""
DOWNLOAD_ERROR = "TGI_CONTRACT_DOWNLOAD_ERROR"
"""Variable: the download fails with these words, for tests of models that cannot be had."""
THREADS = "TGI_CONTRACT_THREADS"
"""Variable: threads that compute."""


SHARD_SPAN = "shard-manager"


class Launcher:
    """One start of the server."""

    def __init__(self, arguments: Arguments, environment: Mapping[str, str]) -> None:
        self._arguments, self._environment = arguments, environment
        self._is_up = False

    def _log(self, message: str, level: str = "INFO", target: str = log.LAUNCHER, span: str | None = None) -> None:
        line = log.Line(message, level, target, span, rank=0 if span == SHARD_SPAN else None)
        text = log.render(line, datetime.now(UTC), as_json=self._arguments.flag("json_output"))
        sys.stdout.write(text)
        sys.stdout.flush()

    async def run(self) -> None:
        """Serve until a signal. Raises LauncherExitError where the real launcher ends with an error."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._log(args.debug_text(self._arguments))
        limits = args.limits(self._arguments, self._environment)
        if self._arguments.number("max_batch_prefill_tokens") is None:
            self._log(f"Default `max_batch_prefill_tokens` to {limits.max_batch_prefill_tokens}")
        settings = self._shard_settings()
        serving = asyncio.ensure_future(self._serve(limits, settings, stop))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not self._is_up and not serving.done():
            serving.cancel()
            self._log("Terminating shard", span=SHARD_SPAN)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    def _shard_settings(self) -> ShardSettings:
        model_id = str(self._arguments.text("model_id"))
        self._log(f"Starting check and download process for {model_id}", span="download")
        try:
            model = self._downloaded(model_id)
        except ModelNotFoundError as error:
            self._log(f"Download encountered an error: \n{error}", level="ERROR", span="download")
            raise LauncherExitError(1, "Error: DownloadError\n") from error
        self._log(f"Successfully downloaded weights for {model_id}", span="download")
        return ShardSettings(
            model=model,
            slots=min(SLOTS, max(1, self._arguments.whole("max_concurrent_requests"))),
            context=self._supported_tokens(),
            threads=int(self._environment.get(THREADS, "1")),
            verbosity=0,
        )

    def _downloaded(self, model_id: str) -> Path:
        if words := self._environment.get(DOWNLOAD_ERROR):
            raise ModelNotFoundError(words)
        return model_file(model_id)

    def _supported_tokens(self) -> int:
        return max(1, int(SUPPORTED_TOKENS * self._arguments.fraction("cuda_memory_fraction")))

    async def _serve(self, limits: Limits, settings: ShardSettings, stop: asyncio.Event) -> None:
        self._log("Starting shard", span=SHARD_SPAN)
        began = time.monotonic()
        try:
            async with running_shard(settings, self._environment, args.shard_refusal(self._arguments)) as shard:
                caching = self._environment.get("PREFIX_CACHING", "1").lower() not in {"0", "false"}
                async with connect(shard.url, prefix_caching=caching) as model:
                    await self._await_shard(model, shard, began)
                    await self._serve_web(limits, settings, shard, model, stop)
                    self._log("Shutting down shards")
            self._log("shard terminated", span=SHARD_SPAN)
        except ShardStartError as error:
            self._log(f"Shard complete standard error output:\n{error}", level="ERROR", span=SHARD_SPAN)
            self._log("Shard 0 failed to start", level="ERROR")
            self._log("Shutting down shards")
            raise LauncherExitError(1, "Error: ShardCannotStart\n") from error

    async def _await_shard(self, model: LlamaModel, shard: Shard, began: float) -> None:
        ready_at = began + float(self._environment.get(LOAD_SECONDS, "0"))
        reported = began
        while time.monotonic() < ready_at or not await model.is_healthy():
            if shard.process.returncode is not None:
                raise ShardStartError(f"exit code {shard.process.returncode}")
            if time.monotonic() - reported >= SHARD_REPORT_SECONDS:
                reported = time.monotonic()
                self._log("Waiting for shard to be ready...", span=SHARD_SPAN)
            await asyncio.sleep(SHARD_POLL_SECONDS)
        self._log(f"Shard ready in {time.monotonic() - began:.9f}s", span=SHARD_SPAN)

    async def _serve_web(
        self, limits: Limits, settings: ShardSettings, shard: Shard, model: LlamaModel, stop: asyncio.Event
    ) -> None:
        server = await self._start_web(limits, settings, model)
        self._is_up = True
        died, stopped = asyncio.ensure_future(shard.died()), asyncio.ensure_future(stop.wait())
        await asyncio.wait({died, stopped}, return_when=asyncio.FIRST_COMPLETED)
        died.cancel()
        if not stopped.done():
            stopped.cancel()
            self._log("Shard 0 crashed", level="ERROR")
            self._log("Terminating webserver")
            await asyncio.sleep(0.2)  # as long as the real launcher leaves requests to fail
            await server.stop(0)
            raise LauncherExitError(1, "Error: ShardFailed\n")
        self._log("Terminating webserver")
        self._log("Waiting for webserver to gracefully shutdown")
        self._log("signal received, starting graceful shutdown", target=log.ROUTER)
        await server.stop(self._arguments.whole("graceful_termination_timeout"))
        self._log("webserver terminated")

    async def _start_web(self, limits: Limits, settings: ShardSettings, model: LlamaModel) -> Server:
        self._log("Starting Webserver")
        self._log("Warming up model", target=log.BACKEND)
        if limits.max_total_tokens > settings.context:
            raise self._web_failed(f"Error: Backend(NotEnoughMemory({limits.max_total_tokens}))")
        try:
            await model.warm_up()
        except ModelError as error:
            raise self._web_failed(f"Error: Backend(Generation({error}))") from error
        self._log(f"Setting max batch total tokens to {settings.context}", target=log.BACKEND)
        self._log("Using backend V3", target=log.BACKEND)
        metrics = Metrics(limits.max_input_tokens, limits.max_total_tokens)
        engine = Engine(self._engine_settings(limits, settings), model, metrics)
        routes = Routes(self._identity(), engine, model)
        host, port = str(self._arguments.text("hostname")), self._arguments.whole("port")
        try:
            await check_free(host, self._arguments.whole("prometheus_port"))
        except OSError as error:
            message = f'failed to build prometheus recorder: FailedToCreateHTTPListener("{_reason(error)}")'
            raise self._web_failed(message) from error
        self._log("Connected", target=log.ROUTER)
        try:
            return await listen(routes, host, port, self._arguments.whole("payload_limit"))
        except OSError as error:
            self._log(f"Failed to bind to {host}:{port}: {_reason(error)}", level="ERROR", target=log.ROUTER)
            raise self._web_failed(f"Error: WebServer(Axum({_reason(error)}))") from error

    def _web_failed(self, message: str) -> LauncherExitError:
        """What the web server wrote at its end is in the launcher's output."""
        sys.stdout.write(message + "\n")
        self._log("Webserver Crashed", level="ERROR")
        self._log("Shutting down shards")
        return LauncherExitError(1, "Error: WebserverFailed\n")

    def _engine_settings(self, limits: Limits, settings: ShardSettings) -> Settings:
        arguments = self._arguments
        rules = Rules(
            max_best_of=arguments.whole("max_best_of"),
            max_stop_sequences=arguments.whole("max_stop_sequences"),
            max_top_n_tokens=arguments.whole("max_top_n_tokens"),
            max_input_tokens=limits.max_input_tokens,
            max_total_tokens=limits.max_total_tokens,
            grammar_support=not arguments.flag("disable_grammar_support"),
        )
        return Settings(
            rules=rules,
            max_concurrent_requests=arguments.whole("max_concurrent_requests"),
            slots=settings.slots,
            batch_tokens=settings.context,
            prefill_logprobs=arguments.flag("enable_prefill_logprobs"),
        )

    def _identity(self) -> Identity:
        arguments = self._arguments
        return Identity(
            model_id=str(arguments.text("model_id")),
            compute_type=self._environment.get("COMPUTE_TYPE", "gpu+optimized"),
            max_client_batch_size=arguments.whole("max_client_batch_size"),
            validation_workers=arguments.whole("validation_workers"),
            max_concurrent_requests=arguments.whole("max_concurrent_requests"),
            api_key=arguments.text("api_key"),
        )


def _reason(error: OSError) -> str:
    return f"{os.strerror(error.errno or 0)} (os error {error.errno})"


def main(words: list[str], environment: Mapping[str, str]) -> int:
    """Run; the exit code is the real launcher's."""
    try:
        asyncio.run(Launcher(args.parse(words, environment), environment).run())
    except LauncherExitError as end:
        sys.stdout.write(end.stdout)
        sys.stderr.write(end.stderr)
        return end.code
    return 0
