"""What this machine's load generator adds by itself, and up to which load it can be trusted.

ladder decides which loads are tried and what came of them, and is pure; calibrate runs them against a truth server.
"""

from perbench_bench.calibration.calibrate import calibrate
from perbench_bench.calibration.ladder import Calibration, Step

__all__ = ["Calibration", "Step", "calibrate"]
