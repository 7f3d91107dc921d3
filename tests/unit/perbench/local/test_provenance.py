from pathlib import Path

from perbench import __version__
from perbench.local.provenance import cpu_model, memory_bytes, provenance

X86 = "processor\t: 0\nmodel\t\t: 143\nmodel name\t: Some CPU @ 2.0GHz\n\nprocessor\t: 1\nmodel name\t: Another\n"
ARM = "processor\t: 0\nCPU part\t: 0xd40\n\nRevision: 1\nModel\t: Small Board 5\n"


def test_the_first_processor_is_named() -> None:
    assert cpu_model(X86) == "Some CPU @ 2.0GHz"
    assert cpu_model(ARM) == "Small Board 5"
    assert cpu_model("") is None


def test_memory_is_in_bytes() -> None:
    assert memory_bytes("MemFree: 1 kB\nMemTotal:       2048 kB\n") == 2048 * 1024
    assert memory_bytes("") is None


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    facts = provenance(proc=tmp_path, system=tmp_path)
    assert not {"cpu", "memoryBytes", "governor"} & facts.keys()
    assert facts["perbench"] == __version__


def test_the_governor_is_read_where_there_is_one(tmp_path: Path) -> None:
    governor = tmp_path / "devices/system/cpu/cpu0/cpufreq/scaling_governor"
    governor.parent.mkdir(parents=True)
    governor.write_text("powersave\n")
    assert provenance(system=tmp_path)["governor"] == "powersave"


def test_it_names_machine_and_software_and_nothing_else() -> None:
    facts = provenance()
    known = {
        "mode",
        "perbench",
        "python",
        "kernel",
        "architecture",
        "cpu",
        "cores",
        "memoryBytes",
        "governor",
        "packages",
    }
    assert facts.keys() <= known
    assert "xllamacpp" in str(facts["packages"])
