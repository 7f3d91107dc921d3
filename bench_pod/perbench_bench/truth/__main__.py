"""`python -m perbench_bench.truth`: a truth server for the process that started it.

One line of JSON on standard input says what to serve; the server ends when standard input does.
"""

import sys

from pydantic import ValidationError

from perbench.base import Document
from perbench.errors import PerbenchError
from perbench_bench.truth.script import Script
from perbench_bench.truth.serving import Serving, serve


class Order(Document):
    """What the parent says."""

    script: Script
    serving: Serving


def main() -> None:
    """Entry point."""
    try:
        order = Order.model_validate_json(sys.stdin.buffer.readline())
        serve(order.script, order.serving, with_parent=True)
    except ValidationError as error:
        sys.exit(f"perbench_bench.truth: not an order: {error.errors()[0]['msg']}")
    except PerbenchError as error:
        sys.stderr.write(f"perbench_bench.truth: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
