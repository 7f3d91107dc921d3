import subprocess
import sys
from pathlib import Path

import pytest

from perbench.failures import Blame
from perbench.files import WriteError, write_atomically


def test_a_write_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "deep" / "a.json", "1")
    write_atomically(tmp_path / "deep" / "a.json", "2")
    assert (tmp_path / "deep" / "a.json").read_text() == "2"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]


WRITES_TOO_MUCH = """
import resource, sys
from pathlib import Path
from perbench.files import WriteError, write_atomically
path = Path(sys.argv[1])
write_atomically(path, "old")
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(path, "new" * 100_000)
except WriteError as error:
    print(error.failure.blame, error.failure.reason, error)
"""


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-c", WRITES_TOO_MUCH, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Infrastructure DiskFull cannot write results.json: File too large")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_for_another_reason_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WriteError) as caught:
        write_atomically(tmp_path / "file" / "results.json", "text")
    assert caught.value.failure.reason == "WriteFailed"
    assert caught.value.failure.blame is Blame.INFRASTRUCTURE
