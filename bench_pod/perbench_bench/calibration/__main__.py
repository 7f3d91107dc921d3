"""`python -m perbench_bench.calibration SECONDS`: a Calibration in JSON on standard output.

For a bench pod that has to stay stoppable meanwhile: a calibration wants the main thread of a process for itself.
"""

import sys

from perbench.failures import RunError
from perbench_bench.calibration.calibrate import calibrate


def main() -> None:
    """Entry point. Exit 4: one line says why there is none."""
    try:
        found = calibrate(float(sys.argv[1]), lambda _load: None)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(found.model_dump_json(by_alias=True))


if __name__ == "__main__":
    main()
