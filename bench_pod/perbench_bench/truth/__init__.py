"""The truth server: a model server by script that records what it really did, to judge load generators by.

delay, script, checks, asked, pace, rendering, plan, planner, faults, queueing, metrics and reading are pure; record
keeps what happened; connection and server hold the sockets; serving is the life of the process, process a child of it.
"""

from perbench_bench.truth.process import TruthProcess, truth_server
from perbench_bench.truth.reading import Record, read_record
from perbench_bench.truth.script import Script

__all__ = ["Record", "Script", "TruthProcess", "read_record", "truth_server"]
