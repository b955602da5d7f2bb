"""Make a set of synthetic images with worker processes, shard by shard: it can be stopped at any time and taken up."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import cast

from dataset_tools.synth import sets
from dataset_tools.synth.generator import Generator
from dataset_tools.synth.shard_pack import Packer
from hoi_core.errors import DatasetError, HoiError, StorageError
from hoi_core.whole_file import write_whole

Progress = Callable[[int, int], None]
"""Called with (images on disk or in work, of how many)."""

_GO_ON = "type the same command again: it goes on where it stopped."
_TELL_EVERY_S = 0.1
_PROBE = 8
_END_S = 5.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Costs:
    """CPU time of the workers, s."""

    make_s: float = 0.0
    """For images and labels."""
    pack_s: float = 0.0
    """To compress them."""
    write_s: float = 0.0
    """To bring them to the disk."""

    def __add__(self, other: Costs) -> Costs:
        return Costs(self.make_s + other.make_s, self.pack_s + other.pack_s, self.write_s + other.write_s)


@dataclass(frozen=True)
class Estimate:
    """What a set will need."""

    bytes: int
    """On the disk."""
    cpu_s: float
    """Of one core."""


@dataclass(frozen=True)
class Made:
    """What a run did."""

    images: int
    """In the set."""
    made: int
    """In this run."""
    damaged: int
    """Shards that were there, but damaged, and were made again."""
    bytes: int
    """Of the set."""
    seconds: float
    """That it took."""
    costs: Costs = field(default_factory=Costs)
    """Where the workers' time went."""


def estimate(generator: Generator) -> Estimate:
    """Measure on a few images what the whole recipe needs."""
    size = _bytes_each(generator)  # compiles and paints, too
    images = range(min(_PROBE, generator.recipe.count))
    began_s = time.process_time()
    for index in images:
        generator.make(index)
    each_s = (time.process_time() - began_s) / len(images)
    return Estimate(round(size * generator.recipe.count), each_s * generator.recipe.count)


def _bytes_each(generator: Generator) -> float:
    """Of an image, measured on a few."""
    some = replace(generator.recipe, count=min(_PROBE, generator.recipe.count))
    head = sets.SynthSet(some, {}, "").heads[0]
    packer = Packer(head, "")
    for index in range(head.images):
        packer.add(generator.make(index))
    return len(packer.close()) / head.images


def make_set(generator: Generator, folder: Path, workers: int, on_progress: Progress | None = None) -> Made:
    """Make what a set lacks.

    The result is the same for any number of workers, and however often it was stopped.

    Args:
        generator: of the recipe.
        folder: of the set, new or with a part of the same set.
        workers: processes.
        on_progress: told how far it is.

    Raises:
        DatasetError: the folder holds something else, another run writes to it, or a worker was killed.
        StorageError: the disk is full or not writable. What is finished is kept.
    """
    wanted = sets.describe(generator)
    began_s = time.monotonic()
    with _alone(folder):
        sets.begin(folder, wanted)
        absent, damaged = sets.missing(folder, wanted)
        numbers = sorted(absent + damaged)
        to_make = sum(wanted.heads[number].images for number in numbers)
        kept = wanted.recipe.count - to_make
        costs = Costs()
        if numbers:
            _check_space(folder, generator, to_make)
            tell = (lambda done: on_progress(kept + done, wanted.recipe.count)) if on_progress else (lambda done: None)
            costs = _work_off(wanted, folder, numbers, workers, tell)
        size = sum(path.stat().st_size for path in folder.iterdir())
    return Made(wanted.recipe.count, to_make, len(damaged), size, time.monotonic() - began_s, costs)


def _check_space(folder: Path, generator: Generator, images: int) -> None:
    needed = _bytes_each(generator) * images
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{images} images need about {needed / 1e9:.1f} GB in {folder}, {free / 1e9:.1f} GB are free.",
            "Free some space, name another --out, or take a smaller --count.",
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder and hold a lock on it, which ends with this process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"cannot write {folder}: {error.strerror}.", "Name another folder with --out.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise DatasetError(f"another run writes to {folder}.", "Wait until it has ended.") from error
    try:
        _sweep(folder)
        yield
    finally:
        _sweep(folder)
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove what runs left half written."""
    for kind in (f"{sets.SET_FILE}.*.part", "shard_*.h5.*.part"):  # nobody else's
        for draft in folder.glob(kind):
            with suppress(OSError):
                draft.unlink(missing_ok=True)


def _work_off(
    wanted: sets.SynthSet, folder: Path, numbers: list[int], workers: int, tell: Callable[[int], None]
) -> Costs:
    """Have shards made by worker processes."""
    crew: dict[Connection, SpawnProcess] = {}
    waiting, done, costs = deque(numbers), 0, Costs()
    try:
        for _ in range(min(workers, len(numbers))):
            line, process = _hire(wanted, folder)
            crew[line] = process
            _give(line, waiting.popleft())
        while crew:
            for line in cast("list[Connection]", wait(list(crew))):
                message = _hear(line, crew[line])
                if isinstance(message, HoiError):
                    raise message
                if isinstance(message, Costs):
                    costs += message
                    _give(line, waiting.popleft() if waiting else None)
                elif message is None:
                    crew.pop(line).join()
                else:
                    done += message
                    tell(done)
    finally:
        _dismiss(list(crew.values()))
    return costs


def _hire(wanted: sets.SynthSet, folder: Path) -> tuple[Connection, SpawnProcess]:
    """Start a worker that takes numbers of shards from a line."""
    # Started anew instead of forked: the images cannot depend on anything that this process did before.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        process = context.Process(target=_work, args=(theirs, wanted, folder), daemon=True)
        process.start()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    theirs.close()
    return ours, process


def _give(line: Connection, number: int | None) -> None:
    """Tell a worker what to make next, or that nothing is left."""
    with suppress(BrokenPipeError, ConnectionResetError):  # that it died is heard as the next message
        line.send(number)


def _hear(line: Connection, process: SpawnProcess) -> int | Costs | HoiError | None:
    """The next message of a worker."""
    try:
        message: int | Costs | HoiError | None = line.recv()
    except (EOFError, ConnectionResetError) as error:
        process.join()
        code = process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        raise DatasetError(
            f"a worker process {how}; what is finished is kept.", f"If memory ran out take fewer --workers; {_GO_ON}"
        ) from error
    return message


def _dismiss(processes: list[SpawnProcess]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_END_S)
        if process.is_alive():
            process.kill()


def _work(line: Connection, wanted: sets.SynthSet, folder: Path) -> None:
    """A worker's life: numbers come in, shards are written, images are counted; without its master it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the master
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            generator = Generator(wanted.recipe)
            while (number := line.recv()) is not None:
                line.send(_make_shard(line, generator, wanted, folder, number))
            line.send(None)
        except HoiError as error:
            line.send(error)


def _make_shard(line: Connection, generator: Generator, wanted: sets.SynthSet, folder: Path, number: int) -> Costs:
    """Make one shard; an image is counted when it is made."""
    head = wanted.heads[number]
    packer = Packer(head, wanted.recipe.to_json())
    make_s = pack_s = 0.0
    untold, told_s = 0, time.monotonic()
    for index in range(head.first, head.first + head.images):
        began_s = time.process_time()
        image = generator.make(index)
        made_s = time.process_time()
        packer.add(image)
        make_s, pack_s = make_s + made_s - began_s, pack_s + time.process_time() - made_s
        untold += 1
        if time.monotonic() - told_s > _TELL_EVERY_S or index == head.first + head.images - 1:
            line.send(untold)
            untold, told_s = 0, time.monotonic()
    began_s = time.process_time()
    content = packer.close()
    path = sets.shard_path(folder, number)
    packed_s = time.process_time()
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; what is finished is kept.", f"Free some space, then {_GO_ON}"
        ) from error
    return Costs(make_s, pack_s + packed_s - began_s, time.process_time() - packed_s)
