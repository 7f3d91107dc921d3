"""The launcher's options: one table for flags, environment, help and the log's first line.

Names, order, defaults and choices are those of `text-generation-launcher --help`, version 3.3.7.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a value may be; the name of the Rust type decides the words of a refusal."""

    TEXT = "String"
    USIZE = "usize"
    U64 = "u64"
    U32 = "u32"
    U16 = "u16"
    F32 = "f32"
    CHOICE = "choice"
    BOOL = "bool"
    """A flag that takes `true` or `false`."""
    FLAG = "flag"
    """A flag without a value."""
    USIZES = "Vec<usize>"
    TEXTS = "Vec<String>"


@dataclass(frozen=True)
class Option:
    """One option. Its environment twin is its name in capitals."""

    name: str
    kind: Kind = Kind.TEXT
    default: str | None = None
    choices: tuple[str, ...] = ()
    short: str | None = None

    @property
    def flag(self) -> str:
        """As it is given: `--max-input-tokens`."""
        return f"--{self.name}"

    @property
    def key(self) -> str:
        """As the launcher's log names it: `max_input_tokens`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Its environment twin: `MAX_INPUT_TOKENS`."""
        return self.key.upper()

    @property
    def usage(self) -> str:
        """As usage lines show it: `--port <PORT>`."""
        return self.flag if self.kind is Kind.FLAG else f"{self.flag} <{self.variable}>"


QUANTIZATIONS = (
    *("awq", "compressed-tensors", "eetq", "exl2", "gptq", "marlin"),
    *("bitsandbytes", "bitsandbytes-nf4", "bitsandbytes-fp4", "fp8"),
)

OPTIONS = (
    Option("model-id", default="bigscience/bloom-560m"),
    Option("revision"),
    Option("validation-workers", Kind.USIZE, "2"),
    Option("sharded", Kind.BOOL),
    Option("num-shard", Kind.USIZE),
    Option("quantize", Kind.CHOICE, choices=QUANTIZATIONS),
    Option("speculate", Kind.USIZE),
    Option("dtype", Kind.CHOICE, choices=("float16", "bfloat16")),
    Option("kv-cache-dtype", Kind.CHOICE, choices=("fp8_e4m3fn", "fp8_e5m2")),
    Option("trust-remote-code", Kind.FLAG),
    Option("max-concurrent-requests", Kind.USIZE, "128"),
    Option("max-best-of", Kind.USIZE, "2"),
    Option("max-stop-sequences", Kind.USIZE, "4"),
    Option("max-top-n-tokens", Kind.U32, "5"),
    Option("max-input-tokens", Kind.USIZE),
    Option("max-input-length", Kind.USIZE),
    Option("max-total-tokens", Kind.USIZE),
    Option("waiting-served-ratio", Kind.F32, "0.3"),
    Option("max-batch-prefill-tokens", Kind.U32),
    Option("max-batch-total-tokens", Kind.U32),
    Option("max-waiting-tokens", Kind.USIZE, "20"),
    Option("max-batch-size", Kind.USIZE),
    Option("cuda-graphs", Kind.USIZES),
    Option("hostname", default="0.0.0.0"),
    Option("port", Kind.U16, "3000", short="-p"),
    Option("prometheus-port", Kind.U16, "9000"),
    Option("shard-uds-path", default="/tmp/text-generation-server"),
    Option("master-addr", default="localhost"),
    Option("master-port", Kind.USIZE, "29500"),
    Option("huggingface-hub-cache"),
    Option("weights-cache-override"),
    Option("disable-custom-kernels", Kind.FLAG),
    Option("cuda-memory-fraction", Kind.F32, "1.0"),
    Option("rope-scaling", Kind.CHOICE, choices=("linear", "dynamic")),
    Option("rope-factor", Kind.F32),
    Option("json-output", Kind.FLAG),
    Option("otlp-endpoint"),
    Option("otlp-service-name", default="text-generation-inference.router"),
    Option("cors-allow-origin", Kind.TEXTS),
    Option("api-key"),
    Option("watermark-gamma", Kind.F32),
    Option("watermark-delta", Kind.F32),
    Option("ngrok", Kind.FLAG),
    Option("ngrok-authtoken"),
    Option("ngrok-edge"),
    Option("tokenizer-config-path"),
    Option("disable-grammar-support", Kind.FLAG),
    Option("env", Kind.FLAG, short="-e"),
    Option("max-client-batch-size", Kind.USIZE, "4"),
    Option("lora-adapters"),
    Option("usage-stats", Kind.CHOICE, "on", ("on", "off", "no-stack")),
    Option("payload-limit", Kind.USIZE, "2000000"),
    Option("enable-prefill-logprobs", Kind.FLAG),
    Option("graceful-termination-timeout", Kind.U64, "90", short="-g"),
)
BY_NAME = {name: option for option in OPTIONS for name in (option.flag, option.short) if name}
