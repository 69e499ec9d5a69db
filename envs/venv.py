"""Make .venv hold what a lock names, requirements.lock where none is given: `make environment`.

The lock's hash decides, which .venv/installed holds: a lock with a newer date and the same content
changes nothing. A new environment is built beside the old one and takes its name when it is
complete, so a download that fails leaves the old one as it was. An environment in use, or behind a
link, is left alone, and the message says so.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOCK, PLACE, STAMP = Path("requirements.lock"), Path(".venv"), "installed"


def main():
    # said by this file, which older versions can read
    if sys.version_info < (3, 11):  # noqa: UP036
        version = ".".join(map(str, sys.version_info[:2]))
        sys.exit(
            f"error: {sys.executable} is Python {version}; 3.11 or newer is needed, give its name: "
            "make PYTHON=python3.12"
        )
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if installed() == wanted:
        return
    refuse_where_it_must_stay()
    folder = Path(tempfile.mkdtemp(prefix=".venv.", dir="."))
    try:
        build(folder)
        (folder / STAMP).write_text(wanted + "\n")
        # the download took minutes
        refuse_where_it_must_stay()
        take_place_of_old(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def installed():
    """Hash of the lock that .venv was made from; None where it is not known, or there is none."""
    try:
        return (PLACE / STAMP).read_text().strip()
    except OSError:
        return None


def refuse_where_it_must_stay():
    """End with a message where .venv is a link, or a process uses it."""
    if PLACE.is_symlink():
        sys.exit(
            f"error: .venv is a link to {os.readlink(PLACE)}, whose packages are not those of "
            f"{LOCK}; bring them up to date there, or take the link away and call make again"
        )
    users = processes_in(PLACE.resolve())
    if users:
        sys.exit(
            f"error: {LOCK} has changed, but .venv is in use by process {', '.join(users)}; call "
            "make again when it has ended"
        )


def processes_in(folder):
    """Numbers of the processes that run or have loaded something from `folder`, as far as /proc
    shows them."""
    mark, found = f"{folder}/".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "cmdline").read_bytes() + (process / "maps").read_bytes():
                found.append(process.name)
        except OSError:
            # it has ended, or is somebody else's
            continue
    return sorted(found, key=int)


def build(folder):
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    # the lock is complete, but for what envs/overrides.txt leaves out
    options = ["--require-hashes", "--no-deps", "-r", LOCK]
    pip = [folder / "bin" / "python", "-m", "pip", "install", *options]
    try:
        subprocess.run(pip, check=True)
    except subprocess.CalledProcessError:
        kept = "; .venv is as it was" if PLACE.exists() else ""
        sys.exit(f"error: the packages of {LOCK} could not be installed{kept}")
    # programs name the folder that they were installed into
    built, final = str(folder.resolve()).encode(), str(PLACE.absolute()).encode()
    for program in (folder / "bin").iterdir():
        if program.is_file() and not program.is_symlink():
            program.write_bytes(program.read_bytes().replace(built, final))


def take_place_of_old(folder):
    old = folder.with_name(f"{folder.name}.old")
    folder.chmod(0o755)
    if PLACE.exists():
        PLACE.rename(old)
    folder.rename(PLACE)
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    # another lock by its name
    LOCK = Path(*sys.argv[1:] or [LOCK])
    main()
