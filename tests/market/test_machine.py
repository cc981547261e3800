"""Sizes are read as they are meant, and a container's limit counts for more than the machine."""

import os
from pathlib import Path

import pytest

from mlmarket.errors import ConfigurationError
from mlmarket.market.machine import memory_of_machine, parse_size

WHOLE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GB", 8 * 1000**3),
        (" 512 mib ", 512 * 1024**2),
        ("0.5TB", 500 * 1000**3),
        ("1.5KiB", 1536),
    ],
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("8G", "did you mean '8GB'?"),
        ("8 GiBs", "did you mean '8GiB'?"),
        ("8 megs", "as in '8GB'"),
        ("8", "as in '8GB'; units are KB, MB, GB, TB, KiB"),
        ("50%", "as in '8GB'"),
        ("-1GB", "as in '8GB'"),
        ("", "as in '8GB'"),
        ("a lot", "as in '8GB'"),
    ],
)
def test_what_is_no_size_is_refused_with_the_near_unit(text: str, fix: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a size of memory") as refused:
        parse_size(text)
    assert fix in refused.value.fix
    assert str(refused.value).count("\n") == 2


def _system(folder: Path, groups: str, **files: str) -> Path:
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(groups, encoding="utf-8")
    for place, text in files.items():
        path = folder / "sys/fs/cgroup" / place.replace("__", "/").replace("_in_", ".limit_in_")
        path = path.with_name(path.name.replace("memory_max", "memory.max"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/job/step\n", {"job__step__memory_max": "max", "job__memory_max": "1000"}, 1000),
        ("0::/job\n", {"job__memory_max": "3000", "memory_max": "2000"}, 2000),
        ("0::/known/to/the/host\n", {"memory_max": "4000"}, 4000),
        ("5:cpu,memory:/job\n1:cpu:/other\n", {"memory__job__memory_in_bytes": "5000"}, 5000),
        ("5:memory:/\n", {"memory__memory_in_bytes": str(2**63)}, WHOLE),
        ("0::/job\n", {}, WHOLE),
    ],
)
def test_the_lowest_limit_around_a_process_counts(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int
) -> None:
    assert memory_of_machine(_system(tmp_path, groups, **files)) == limit


def test_a_system_without_control_groups_has_what_the_machine_has(tmp_path: Path) -> None:
    assert memory_of_machine(tmp_path) == WHOLE
    assert 0 < memory_of_machine() <= WHOLE
