"""Is it learnt? Train models alike on the synthetic benchmark, measure them on its test, and write down what came out.

python benchmarks/learning_proof.py proof/cpu --data data --minutes-per-case 20 --results docs/results
python benchmarks/learning_proof.py proof/gpu --data data --steps 20000 --device cuda --workers 8 --batch-size 32

Every case is trained for as many steps, on as many samples a step, in the same order and from the same seed, by the
commands that a user types; they are written down. Stopped, the same line goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from learning_proof_constant import measure_mean_hand
from learning_proof_report import SHOWN, Comparison, write_results

from learning.runs import read_settings

MODULES = {"hoi-train": "hoi_cli.train", "hoi-export": "hoi_cli.export", "hoi-eval": "hoi_cli.eval"}
_PROBE_STEPS = 12
_LEAST_STEPS = 4


@dataclass(frozen=True)
class Case:
    """Something that is trained or exported, and measured."""

    name: str
    """Of its folder and its rows."""
    train: tuple[str, ...] = ()
    """Flags of hoi-train; without any, nothing is trained."""
    start: str = ""
    """Case whose run it starts from."""
    share: float = 1.0
    """Of the steps of the others."""
    export: tuple[str, ...] = ()
    """Flags of hoi-export; then the file is measured instead of the run."""
    inputs: tuple[str, ...] = ("rgb",)
    """What it is shown: `rgb`, edges out of colours; `edge`, the edge image alone, as from the sensor."""


BOTH = ("rgb", "edge")
CASES: tuple[Case, ...] = (
    Case("splite", ("--model", "splite"), inputs=BOTH),
    Case("splite_dense", ("--model", "splite", "--encoder", "dense")),
    Case("mobrecon_resnet18", ("--model", "mobrecon", "--backbone", "resnet18")),
    Case("mobrecon_edges", ("--model", "mobrecon", "--backbone", "resnet18", "--input", "edges"), inputs=BOTH),
    Case("mobrecon_densestack", ("--model", "mobrecon", "--backbone", "densestack")),
    Case("splite_pairs", ("--model", "splite", "--pairs")),
    Case(
        "splite_qat",
        ("--qat", "--model", "splite", "--lr", "1e-4"),
        start="splite",
        share=0.25,
        export=("--int8",),
        inputs=BOTH,
    ),
    Case("splite_ptq", start="splite", export=("--int8", "--ptq", "256"), inputs=BOTH),
)
MEAN_HAND = "mean_hand"
COMPARISONS: tuple[Comparison, ...] = (
    Comparison("SPLite against the mean hand, joints aligned", ("splite", "rgb"), (MEAN_HAND, "rgb"), "xyz_pa_mm"),
    Comparison("SPLite against the mean hand, wrist given", ("splite", "rgb"), (MEAN_HAND, "rgb"), "mpjpe_mm"),
    Comparison(
        "SPLite against MobRecon with ResNet-18", ("splite", "rgb"), ("mobrecon_resnet18", "rgb"), "xyz_pa_mm", 0.3
    ),
    Comparison(
        "SPLite against MobRecon with DenseStack", ("splite", "rgb"), ("mobrecon_densestack", "rgb"), "xyz_pa_mm", 0.3
    ),
    Comparison(
        "SPLite against MobRecon with ResNet-18, shown edges too",
        ("splite", "rgb"),
        ("mobrecon_edges", "rgb"),
        "xyz_pa_mm",
        0.3,
    ),
    Comparison("the same, the edge image alone", ("splite", "edge"), ("mobrecon_edges", "edge"), "xyz_pa_mm", 0.3),
    Comparison("sparse against dense encoder", ("splite", "rgb"), ("splite_dense", "rgb"), "xyz_pa_mm", 0.2),
    Comparison("QAT, edges out of colours", ("splite_qat", "rgb"), ("splite", "rgb"), "xyz_pa_mm", 0.1),
    Comparison("QAT, the edge image alone", ("splite_qat", "edge"), ("splite", "edge"), "xyz_pa_mm", 1.1),
    Comparison(
        "post-training quantisation, edges out of colours", ("splite_ptq", "rgb"), ("splite", "rgb"), "xyz_pa_mm"
    ),
    Comparison(
        "post-training quantisation, the edge image alone", ("splite_ptq", "edge"), ("splite", "edge"), "xyz_pa_mm"
    ),
    Comparison("second view, depth relative to the wrist", ("splite_pairs", "rgb"), ("splite", "rgb"), "depth_rr_mm"),
    Comparison("second view, depth", ("splite_pairs", "rgb"), ("splite", "rgb"), "depth_mm"),
    Comparison("second view, joints aligned", ("splite_pairs", "rgb"), ("splite", "rgb"), "xyz_pa_mm"),
)


@dataclass(frozen=True)
class Budget:
    """What every case gets alike."""

    steps: int
    """Optimiser steps."""
    batch_size: int
    """Samples a step."""
    seed: int
    """Of weights, order and augmentation."""
    dataset: str
    """What is learnt from; its test is measured on."""
    flags: tuple[str, ...] = ()
    """Further flags of every training."""
    own: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Model -> further flags of its trainings."""


@dataclass(frozen=True)
class Place:
    """Where things lie, and how to work."""

    folder: Path
    """Of runs and figures."""
    data: Path
    """Root of the datasets."""
    device: str = "cpu"
    """Where to train."""
    workers: int = 0
    """Loading processes."""


def command(name: str, arguments: list[str], log: Path) -> None:
    """Run one of our commands as a user types it, and keep its line and what it said.

    Raises:
        SystemExit: it failed.
    """
    line = shlex.join([name, *arguments])
    print(line, flush=True)
    with log.open("a", encoding="utf8") as out:
        out.write(f"$ {line}\n")
        out.flush()
        code = f"import sys; from {MODULES[name]} import main; sys.exit(main())"
        done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=out, stderr=out, check=False)
    if done.returncode:
        raise SystemExit(f"{line} failed; see {log}. The same line goes on from here.")


def trained_steps(run: Path) -> int:
    """Steps of a run's last checkpoint; 0 without one."""
    last = run / "checkpoints" / "last"
    return int(last.resolve().name.removeprefix("step_")) if last.exists() else 0


def steps_of(case: Case, budget: Budget) -> int:
    """Steps of a case."""
    return max(_LEAST_STEPS, round(case.share * budget.steps))


def train(case: Case, budget: Budget, place: Place) -> Path:
    """Train a case, or go on with it. Returns its run: for a case that trains nothing, the one it starts from."""
    run, log = place.folder / case.name / "run", place.folder / case.name / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    if not case.train:
        return place.folder / case.start / "run"
    steps, before = steps_of(case, budget), trained_steps(run)
    if before >= steps:
        return run
    if before:
        command("hoi-train", ["--resume", "--out", str(run)], log)
    else:
        command("hoi-train", training_flags(case, budget, place, steps, run), log)
    return run


def training_flags(case: Case, budget: Budget, place: Place, steps: int, run: Path) -> list[str]:
    """The flags of a case's training from its beginning."""
    start = ["--from", str(place.folder / case.start / "run")] if case.start else []
    alike = {
        "--dataset": budget.dataset, "--data": place.data, "--steps": steps, "--batch-size": budget.batch_size,
        "--seed": budget.seed, "--device": place.device, "--workers": place.workers, "--out": run,
    }  # fmt: skip
    own = budget.own.get(model_of(case), ())
    # The case's own flags last: they win, as the rate of --qat over that of the others.
    return [*start, *(str(part) for pair in alike.items() for part in pair), *budget.flags, *own, *case.train]


def model_of(case: Case) -> str:
    """The model that a case trains."""
    return case.train[case.train.index("--model") + 1]


def measure(case: Case, run: Path, budget: Budget, place: Place) -> None:
    """Export where the case says so, and measure what is not measured yet."""
    folder = place.folder / case.name
    log, model = folder / "log.txt", run
    if case.export:
        model = folder / "model.onnx"
        if not model.exists():
            command("hoi-export", [str(run), *case.export, "--data", str(place.data), "--out", str(model)], log)
    for shown in case.inputs:
        figures, samples = folder / f"{shown}.json", folder / f"{shown}.csv"
        if not figures.exists():
            asked = ["--dataset", budget.dataset, "--split", "test", "--data", str(place.data), "--input", shown]
            command("hoi-eval", [str(model), *asked, "--samples", str(samples), "--json", str(figures)], log)


def affordable_steps(cases: list[Case], budget: Budget, place: Place, minutes: float) -> int:
    """Steps that the slowest case takes in some minutes, measured with a few steps of each."""
    speeds = []
    for case in cases:
        if case.start or not case.train:
            continue
        folder = place.folder / "probe" / case.name
        figures = folder / "train.json"
        if not figures.exists():
            folder.mkdir(parents=True, exist_ok=True)
            flags = training_flags(case, budget, place, _PROBE_STEPS, folder / "run")
            # Validation after so few steps would be most of what is timed.
            command("hoi-train", [*flags, "--validate-every", "0", "--json", str(figures)], folder / "log.txt")
        speeds.append(json.loads(figures.read_text(encoding="utf8"))["steps_per_second"])
    return max(_LEAST_STEPS, int(60 * minutes * min(speeds)))


def settled(budget: Budget, path: Path) -> None:
    """Keep what every case gets; what was begun with one budget does not go on with another.

    Raises:
        SystemExit: another budget was begun with.
    """
    text = json.dumps(asdict(budget), indent=2) + "\n"
    if path.exists() and json.loads(path.read_text(encoding="utf8")) != json.loads(text):
        raise SystemExit(f"{path} was begun with another budget: name another folder, or remove this one.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")


def surroundings(place: Place) -> dict[str, object]:
    """What the figures depend on beside the budget."""
    cpu = next((x.split(":")[1].strip() for x in _lines("/proc/cpuinfo") if x.startswith("model name")), "")
    about: dict[str, object] = {"machine": platform.machine(), "cpu": cpu, "cores": os.cpu_count()}
    return {**about, "device": place.device, "threads": os.environ.get("OMP_NUM_THREADS", "all")}


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf8").splitlines() if Path(path).exists() else []


def main(
    argv: list[str] | None = None,
    known: tuple[Case, ...] = CASES,
    comparisons: tuple[Comparison, ...] = COMPARISONS,
    shown: tuple[str, ...] = SHOWN,
) -> None:
    """Train, export, measure, compare.

    Args:
        argv: flags, of the process by default.
        known: what there is to train and measure.
        comparisons: what is asked.
        shown: figures in the table of all cases.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of runs and figures; gives the results their name")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--dataset", default="synthbench")
    parser.add_argument("--results", type=Path, help="folder for the page; default: the folder of the runs")
    parser.add_argument("--steps", type=int, default=0, help="of every case")
    parser.add_argument("--minutes-per-case", type=float, default=20.0, help="where --steps is not given")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in known], default=None)
    parser.add_argument("--flags", default="", help="further flags of every training, such as '--width 32'")
    models = sorted({model_of(case) for case in known if case.train})
    for model in models:
        parser.add_argument(f"--{model}", default="", help=f"further flags of the trainings of {model}")
    given = parser.parse_args(argv)
    cases = [case for case in known if given.cases is None or case.name in given.cases]
    place = Place(given.folder, given.data, given.device, given.workers)
    flags = tuple(shlex.split(given.flags))
    own = {model: tuple(shlex.split(getattr(given, model))) for model in models if getattr(given, model)}
    kept = given.folder / "budget.json"
    steps = given.steps or (json.loads(kept.read_text(encoding="utf8"))["steps"] if kept.exists() else 0)
    budget = Budget(steps, given.batch_size, given.seed, given.dataset, flags, own)
    if not steps:
        steps = affordable_steps(cases, budget, place, given.minutes_per_case)
        budget = replace(budget, steps=steps)
    settled(budget, kept)
    for case in cases:
        run = train(case, budget, place)
        measure(case, run, budget, place)
    if not (place.folder / MEAN_HAND / "rgb.json").exists():
        measure_mean_hand(place.folder / MEAN_HAND, budget.dataset, place.data, read_settings(run).size)
    facts = {"budget": asdict(budget), **surroundings(place)}
    names = [*(case.name for case in cases), MEAN_HAND]
    page = write_results(given.results or given.folder, given.folder, names, comparisons, facts, shown)
    print(page.read_text(encoding="utf8"))


if __name__ == "__main__":
    main()
