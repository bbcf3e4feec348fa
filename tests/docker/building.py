"""Carries out a Dockerfile in plain directories, and runs what it built: a Docker for tests.

A stage is a directory. RUN is a chroot in namespaces of its own, with the same user, environment
and working directory that Docker would give it; what is copied between stages is hard-linked. It
needs root. The base image is a directory that holds the same thing, made by debootstrap.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

from .dockerfile import Context, Instruction, Stage

NETWORK = ("/etc/resolv.conf", "/etc/hosts")
"""Docker lends a container the host's."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What Debian's image sets."""

_SHELL = 'cd "$0" && exec "$@"'


@dataclass
class Image:
    """What a stage is after its instructions.

    Attributes:
        root: Its files.
        env: Environment of its processes.
        user: User and group, as numbers or names.
        folder: Working directory.
        entrypoint: Program, with first arguments.
        command: Arguments when a user gives none.
        health: Command that says whether it is well.
    """

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    user: str = "0:0"
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)


class Builder:
    """Builds the stages of a Dockerfile, each once; those that a folder holds are kept."""

    def __init__(
        self, stages: Mapping[str, Stage], bases: Mapping[str, Path], context: Context, work: Path
    ) -> None:
        self._stages, self._bases, self._context, self._work = stages, bases, context, work
        self._built: dict[str, Image] = {}
        self.log = work / "build.log"
        """What the commands said."""

    def build(self, name: str) -> Image:
        """Build a stage, and what it begins with or copies from."""
        if name in self._bases:
            return Image(self._bases[name])
        if name not in self._built:
            stage = self._stages[name]
            image = deepcopy(self.build(stage.base))
            root = self._work / "stages" / name
            done = root.with_suffix(".done")
            if not done.exists():
                shutil.rmtree(root, ignore_errors=True)
                root.mkdir(parents=True)
                _run(["cp", "-a", f"{image.root}/.", str(root)])
            image.root = root
            for instruction in stage.instructions:
                if instruction.name in ("RUN", "COPY") and done.exists():
                    continue
                self._note(f"{name}: {instruction.name} {instruction.value}\n")
                getattr(self, f"_{instruction.name.lower()}")(image, instruction)
            done.touch()
            self._built[name] = image
        return self._built[name]

    def _note(self, said: str) -> None:
        with self.log.open("a") as log:
            log.write(f"{time.strftime('%H:%M:%S')} {said}")

    # --- instructions -----------------------------------------------------------------------------

    def _run(self, image: Image, instruction: Instruction) -> None:
        with self._mounted(image, instruction.flags.get("mount")), self.log.open("a") as log:
            run_in(image, instruction.command, stdout=log, stderr=log)

    @contextlib.contextmanager
    def _mounted(self, image: Image, wanted: str | None) -> Iterator[None]:
        """Move the cache into the stage and out again: a mount would forbid hard links."""
        if wanted is None:
            yield
            return
        options = dict(part.split("=") for part in wanted.split(","))
        if options.pop("type") != "cache":
            raise ValueError(f"only mounts of caches are carried out, not {wanted}")
        target = image.root / options.pop("target").lstrip("/")
        kept = self._work / "cache"
        kept.mkdir(exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        kept.rename(target)
        try:
            yield
        finally:
            target.rename(kept)

    def _copy(self, image: Image, instruction: Instruction) -> None:
        *sources, target = instruction.words
        is_folder = target.endswith("/") or len(sources) > 1
        place = image.root / str(Path(image.folder, target)).lstrip("/")
        mode = instruction.flags.get("chmod")
        for source in sources:
            if "from" in instruction.flags:
                self._copy_tree(self.build(instruction.flags["from"]).root, source, place)
            else:
                self._copy_files(source, place, is_folder, mode)

    def _copy_tree(self, root: Path, source: str, place: Path) -> None:
        place.mkdir(parents=True, exist_ok=True)
        _run(["cp", "-al", f"{root / source.lstrip('/')}/.", str(place)])

    def _copy_files(self, source: str, place: Path, is_folder: bool, mode: str | None) -> None:
        names = self._context.list(source)
        if not names:
            raise FileNotFoundError(f"COPY {source}: nothing of that name in the context")
        for name in names:
            inner = Path(name).relative_to(source)
            target = place / (Path(name).name if inner == Path(".") else inner)
            if inner == Path(".") and not is_folder and not place.is_dir():
                target = place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._context.folder / name, target)
            os.chown(target, 0, 0)
            if mode is not None:
                target.chmod(int(mode, 8))

    def _env(self, image: Image, instruction: Instruction) -> None:
        image.env.update(word.split("=", 1) for word in instruction.words)

    def _workdir(self, image: Image, instruction: Instruction) -> None:
        image.folder = str(Path(image.folder, instruction.value))
        (image.root / image.folder.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _user(self, image: Image, instruction: Instruction) -> None:
        image.user = instruction.value

    def _entrypoint(self, image: Image, instruction: Instruction) -> None:
        image.entrypoint, image.command = instruction.command, []

    def _cmd(self, image: Image, instruction: Instruction) -> None:
        image.command = instruction.command

    def _healthcheck(self, image: Image, instruction: Instruction) -> None:
        word, _, value = instruction.value.partition(" ")
        if word != "CMD":
            raise ValueError(f"HEALTHCHECK {word} is not carried out here")
        image.health = Instruction("CMD", {}, value.strip()).command

    def _expose(self, image: Image, instruction: Instruction) -> None:
        int(instruction.value)


@dataclass(frozen=True)
class Mount:
    """A folder of the host inside a container; a source of None is an empty tmpfs."""

    source: Path | None
    target: str
    read_only: bool = False


def enter(
    image: Image,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    mounts: Sequence[Mount] = (),
    read_only: bool = False,
) -> list[str]:
    """Command line that runs a command in an image, as the first process of its namespaces."""
    root = shlex.quote(str(image.root))
    lines = ["set -e", f"mount --bind {root} {root}"]
    lines += [f"mount --bind {file} {root}{file}" for file in NETWORK]
    for mount in mounts:
        place = f"{root}{mount.target}"
        lines.append(f"mkdir -p {place}")
        if mount.source is None:
            lines.append(f"mount -t tmpfs -o mode=1777 tmpfs {place}")
        else:
            lines.append(f"mount --bind {shlex.quote(str(mount.source))} {place}")
        if mount.read_only:
            lines.append(f"mount -o remount,bind,ro {place}")
    if read_only:
        lines.append(f"mount -o remount,bind,ro {root}")
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    lines.append(f"exec {shlex.join(_inside(image, command, env, user))}")
    script = "\n".join(lines)
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]


def _inside(
    image: Image, command: Sequence[str], env: Mapping[str, str] | None, user: str | None
) -> list[str]:
    """Command line that changes into an image's root, user, environment and folder."""
    settings = [f"{name}={value}" for name, value in {**image.env, **(env or {})}.items()]
    change = ["chroot", f"--userspec={user or image.user}", "--groups=", str(image.root)]
    return [*change, "env", "-i", *settings, "/bin/sh", "-c", _SHELL, image.folder, *command]


def run_in(image: Image, command: Sequence[str], **options: object) -> None:
    """Run a command of a build; its failure is an error."""
    subprocess.run(enter(image, command), check=True, stdin=subprocess.DEVNULL, **options)


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


class Container:
    """A process that runs in an image, as `docker run` starts one."""

    def __init__(
        self, image: Image, arguments: Sequence[str], log: Path, **options: object
    ) -> None:
        self.image, self.log = image, log
        self._env, self._user = options.get("env"), options.get("user")
        command = [*image.entrypoint, *(arguments or image.command)]
        with log.open("w") as stream:
            self._process = subprocess.Popen(
                enter(image, command, **options), stdin=subprocess.DEVNULL,
                stdout=stream, stderr=stream,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its first process, as the host numbers it."""
        own = self._process.pid
        (child,) = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return int(child)

    def execute(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a further command in it, as `docker exec` does."""
        inside = _inside(self.image, command, self._env, self._user)
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", *inside],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def is_well(self) -> bool:
        """What its health check says."""
        own = self._process.pid
        if self._process.poll() is not None:
            raise ChildProcessError(self.log.read_text())
        has_begun = bool(Path(f"/proc/{own}/task/{own}/children").read_text())
        return has_begun and self.execute(self.image.health).returncode == 0

    def stop(self, grace: float) -> int:
        """Send SIGTERM, as `docker stop` does, and return the exit code; SIGKILL after a time."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait(grace)

    def wait(self, seconds: float) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once, with all it has started."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
