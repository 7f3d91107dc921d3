"""Writes what is generated from the API: `python -m perbench.api.generate [--check]`, from the repository's root.

With `--check` nothing is written: stale files are named and the exit code is 1.
"""

import argparse
import json
import sys
from pathlib import Path

import yaml

from perbench.api.crd import crd_yaml, editor_schema
from perbench.api.reference import reference

PROOFS = Path("tests/proofs.yaml")


def generated(root: Path) -> dict[Path, str]:
    """What each generated file below `root` should hold."""
    proofs = yaml.safe_load((root / PROOFS).read_text(encoding="utf-8"))
    return {
        root / "crds/perbench.dev_perbenchmarks.yaml": crd_yaml(),
        root / "docs/reference.md": reference(proofs),
        root / "docs/perbenchmark.schema.json": json.dumps(editor_schema(), indent=2, ensure_ascii=False) + "\n",
    }


def stale(files: dict[Path, str]) -> list[Path]:
    """The files that are missing or hold something else."""
    return [path for path, text in files.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def write(files: dict[Path, str], program: str, description: str | None, arguments: list[str] | None = None) -> int:
    """Write `files`, or with `--check` among the arguments compare them; the exit code."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is not current")
    options = parser.parse_args(arguments)
    outdated = stale(files)
    for path in outdated:
        if options.check:
            sys.stderr.write(f"{path}: not current: run make generate and commit it\n")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path], encoding="utf-8")
        sys.stdout.write(f"{path}: written\n")
    return 1 if options.check and outdated else 0


def main(arguments: list[str] | None = None) -> int:
    """Write or check; the exit code."""
    return write(generated(Path()), "python -m perbench.api.generate", __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
