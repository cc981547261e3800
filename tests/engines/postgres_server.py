"""A PostgreSQL server in a temporary folder, for tests and benchmarks, thrown away at the end."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Sorted as in a dictionary, upper beside lower case, which is not the order of the code points.
SORTED_LIKE_PEOPLE = ["--locale-provider=icu", "--icu-locale=en-US"]
CARELESS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c listen_addresses=''"
PREFIX = "mlmarket-postgres-"


class NoServerError(Exception):
    """Why no server can be started here."""


@contextmanager
def throw_away_server() -> Iterator[str]:
    """Start a server; give its address, and stop it at the end."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with _running(binaries, folder):
            yield f"postgres://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = [Path(path).resolve() for path in filter(None, [shutil.which("initdb")])]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    for path in found:
        if (path.parent / "pg_ctl").exists():
            return path.parent
    message = "PostgreSQL is not installed: apt-get install postgresql"
    raise NoServerError(message)


@contextmanager
def _running(binaries: Path, folder: Path) -> Iterator[None]:
    begin = _as_another_user(folder)
    data = folder / "data"
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"]
    make += ["-E", "UTF8", "--locale=C.UTF-8"]
    if _version(binaries) >= 15:
        make += SORTED_LIKE_PEOPLE
    control = [*begin, binaries / "pg_ctl", "-D", data]
    options = f"{CARELESS} -c unix_socket_directories={folder}"
    start = [*control, "-l", folder / "log", "-w", "-o", options, "start"]
    for command in ([*begin, *make], start):
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", check=False
        )
        if done.returncode:
            message = f"PostgreSQL does not start: {done.stderr.decode().strip()[-300:]}"
            raise NoServerError(message)
    try:
        yield
    finally:
        stop = [*control, "-m", "immediate", "-w", "stop"]
        subprocess.run(stop, capture_output=True, cwd="/", check=False)


def _as_another_user(folder: Path) -> list[str]:
    """Return what a command begins with: a server refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    try:
        owner = pwd.getpwnam("postgres")
    except KeyError as error:
        message = "PostgreSQL is not run by root, and there is no user postgres"
        raise NoServerError(message) from error
    if shutil.which("runuser") is None:
        message = "PostgreSQL is not run by root, and there is no runuser"
        raise NoServerError(message)
    os.chown(folder, owner.pw_uid, owner.pw_gid)
    return ["runuser", "-u", "postgres", "--"]


def _version(binaries: Path) -> int:
    told = subprocess.check_output([binaries / "initdb", "--version"], text=True)
    return int(re.findall(r"\d+", told)[0])
