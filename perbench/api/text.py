"""The forms of text in the API: a pattern for machines, and the same in words for people.

The patterns keep to what the regular expressions of the API server (RE2), pydantic and JSON Schema have in common.
"""

from typing import Annotated

from pydantic import Field

NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
OBJECT_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
MODEL = r"^(packaged:smollm2-135m|\.?/.*\.gguf|[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?)$"
REVISION = r"^[A-Za-z0-9][A-Za-z0-9_./-]*$"
PORT = r"([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
URL = rf"^https?://([^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(:{PORT})?(/[^\s?#]*)?$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
RUN_ID = r"^[0-9a-f]{10}$"
REASON = r"^[A-Z][A-Za-z]*$"
DECIMAL = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
NUMBER = r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"
POSITIVE = r"^(0\.[0-9]*[1-9][0-9]*|[1-9][0-9]*(\.[0-9]+)?)$"
PERCENT = r"^(100(\.0+)?|(0|[1-9][0-9]?)(\.[0-9]+)?)$"
PERCENT_UNDER_100 = r"^(0|[1-9][0-9]?)(\.[0-9]+)?$"
SHARE = r"^(0(\.[0-9]+)?|1(\.0+)?)$"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$"
RESOURCE = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
LABEL_KEY = r"^[A-Za-z0-9_.-]+$"
PATH = r"^\.?[A-Za-z0-9_-][A-Za-z0-9_.-]*(/\.?[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$"
IMAGE = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$"
PRICED_UNIT = r"^(server|accelerator|endpoint)$"
THROUGHPUT_UNIT = r"^(tokens|items)/s per (accelerator|server|endpoint)$"

MEANINGS = {
    NAME: "lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
    OBJECT_NAME: "the name of a Kubernetes object: lower-case letters, digits, '-' and '.', beginning and ending with"
    " a letter or digit",
    MODEL: "a Hugging Face id (org/name), a GGUF file (./model.gguf or /path/model.gguf) or packaged:smollm2-135m",
    REVISION: "a branch, tag or commit of the model's repository",
    URL: "http://HOST or https://HOST, perhaps with :PORT and /PATH; without user, password, query, fragment",
    VARIABLE: "the name of an environment variable: letters, digits and '_', not beginning with a digit",
    RUN_ID: "10 hexadecimal digits",
    REASON: "one CamelCase word",
    DECIMAL: "a decimal number in plain notation, such as 0.8731",
    NUMBER: "a number from 0 upwards, such as 0.5",
    POSITIVE: "a number above 0, such as 0.5",
    PERCENT: "a number from 0 to 100, such as 2.5",
    PERCENT_UNDER_100: "a number from 0 to under 100, such as 2.5",
    SHARE: "a number from 0 to 1, such as 0.5",
    QUANTITY: "a quantity as Kubernetes writes it, such as 2, 500m or 8Gi",
    RESOURCE: "an extended resource with its domain, such as nvidia.com/gpu",
    LABEL_KEY: "letters, digits, '-', '_' and '.'",
    PATH: "a relative path without '..': names of letters, digits, '-', '_' and '.', with '/' between them",
    IMAGE: "an image, such as registry.example.org/team/server:1.2",
    PRICED_UNIT: "server, accelerator or endpoint",
    THROUGHPUT_UNIT: "tokens/s or items/s, then 'per' and accelerator, server or endpoint",
}
"""What to say when a text does not fit its pattern."""

Name = Annotated[str, Field(pattern=NAME, min_length=1, max_length=40)]
"""The name of a model or task: short, because it appears in labels, file names and tables."""
DecimalText = Annotated[str, Field(pattern=DECIMAL, max_length=16)]
"""A number in the status: text, so that no client rounds it."""
