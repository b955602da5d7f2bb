"""The parts of a card and a datasheet that follow from the data, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from dataset_tools.publish.facts import Facts, Take, summed
from dataset_tools.publish.permit import STAND_IN, Audience

UNKNOWN = "unknown"
_ACCURACY: Mapping[str, str] = {
    "expected_error_mm": "error of joints that their own covariance expects (root mean square), mm",
    "joint_error_mm": "error of joints against the truth (simulated recordings), mm",
    "vertex_error_mm": "error of the mesh against the truth (simulated recordings), mm",
    "coverage90": "share of true joints within their 90 % ellipsoid (simulated recordings)",
    "agreement_mm": "distance of labels made twice, the second time blind, mm",
    "agreement_frames": "frames labelled twice",
    "fingertip_clicked_mm": "clicked fingertips on the point cloud from labelled tips, mm",
    "fingertip_nearest_mm": "visible labelled tips from the nearest depth point (a lower bound), mm",
    "sensor_offset_ms": "how much later than its stamps the third sensor looked, ms",
    "human_seconds_per_frame": "human work on labels, s a frame",
    "clicks_per_frame": "clicks a frame",
    "frames_reviewed": "frames that a person accepted or edited",
    "accepted_without_edit_share": "share of those accepted exactly as the automatic fit had made them",
}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A Markdown table; a cell's `|` is kept from ending it."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in [list(header), ["---"] * len(header), *cells]] + [""]


def counted(values: Mapping[str, int]) -> str:
    """`left: 3, right: 5`; unknown where nothing was counted."""
    return ", ".join(f"{name or UNKNOWN}: {n:,}" for name, n in sorted(values.items())) or UNKNOWN


def composition(facts: Facts) -> list[str]:
    """What there is, and how much."""
    takes = facts.takes
    people = {take.participant for take in takes} - {""}
    rows: list[tuple[str, object]] = [
        ("recordings", f"{len(takes):,} ({sum(take.seconds for take in takes) / 60:,.1f} min)"),
        ("moments (all views at one time)", f"{sum(take.moments for take in takes):,}"),
        ("participants", f"{len(people)}"),
        *((says, counted(values)) for says, values in facts.people.items()),
        ("objects", len({name for take in takes for name in take.objects})),
        ("categories of objects", counted(facts.categories)),
        ("scenarios (recordings)", counted(Counter(take.scenario for take in takes))),
        ("actions (recordings)", counted(Counter(take.action for take in takes))),
        ("simulated recordings, which show nobody", sum(take.simulated for take in takes)),
    ]
    return [*table(("of", "there are"), rows), *table(("stream", "images", "each"), _streams(takes)), *_splits(facts)]


def _streams(takes: Sequence[Take]) -> list[tuple[str, str, str]]:
    frames = summed([take.frames for take in takes])
    shapes: dict[str, dict[str, None]] = {name: {} for name in frames}
    for take in takes:
        for name, shape in take.shapes.items():
            shapes[name][shape] = None
    return [(name, f"{frames[name]:,}", "; ".join(shapes[name])) for name in sorted(frames)]


def _splits(facts: Facts) -> list[str]:
    if not facts.splits:
        return ["Splits: none are fixed.", ""]
    rows = []
    for name, entries in facts.splits.items():
        family, _, _ = name.rpartition("_")
        rows.append((name, entries, facts.rules.get(family, UNKNOWN)))
    return table(("split", "recordings or views", "no two parts share the same"), rows)


def collection(facts: Facts) -> list[str]:
    """With what it was recorded, and how well."""
    takes = facts.takes
    drops = summed([take.drops for take in takes])
    images = sum(n for take in takes for n in take.frames.values())
    missing = f"{sum(drops.values()):,} of {images + sum(drops.values()):,}" + (f" ({counted(drops)})" if drops else "")
    skew = [value for take in takes for value in take.skew_ms]
    rows = [
        ("rigs (recordings)", counted(Counter(take.rig for take in takes))),
        ("years (recordings)", counted(Counter(take.year for take in takes))),
        ("recorded with", counted(Counter(take.software for take in takes))),
        ("images that are missing", missing),
        ("median distance of a stream's frames from their moment", _span(skew, "ms")),
        ("recordings without a calibration's name", sum(not take.calibration for take in takes)),
    ]
    return [*table(("", ""), rows), *_calibrations(facts)]


def _calibrations(facts: Facts) -> list[str]:
    rows = [
        (name, ", ".join(f"{key} {value:.3g}" for key, value in figures.items()) or UNKNOWN)
        for name, figures in facts.calibrations.items()
    ]
    return table(("calibration", "figures"), rows) if rows else ["Calibration: unknown.", ""]


def _span(values: Sequence[float], unit: str) -> str:
    return f"{min(values):.2g} to {max(values):.2g} {unit}" if values else UNKNOWN


def labelling(facts: Facts) -> list[str]:
    """What is labelled, how, and how far it can be trusted."""
    labels = [take.labels for take in facts.takes if take.labels is not None]
    models = Counter(STAND_IN if held.hand_model == STAND_IN else "MANO" for held in labels)
    rows: list[tuple[str, object]] = [
        ("recordings with labels", f"{len(labels):,} of {len(facts.takes):,}"),
        ("moments with a labelled hand", counted(summed([held.hands for held in labels]))),
        ("moments with a labelled object", f"{sum(n for held in labels for n in held.objects.values()):,}"),
        ("status (moments of a hand)", counted(summed([held.status for held in labels]))),
        ("source of joints", counted(summed([held.sources for held in labels]))),
        ("current labels made by", counted(Counter("a person" if held.by_people else "a program" for held in labels))),
        ("hand model", counted(models)),
        ("set of fingertip vertices", counted(Counter(held.tips for held in labels))),
    ]
    rows += [(says, _number(facts.accuracy.get(key))) for key, says in _ACCURACY.items()]
    return table(("of the labels", ""), rows)


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.3g}"


def consent(facts: Facts, audience: Audience) -> list[str]:
    """Who agreed to what."""
    simulated = sum(take.simulated for take in facts.takes)
    shown = len({take.participant for take in facts.takes if not take.simulated} - {""})
    lines = [f"{simulated} of {len(facts.takes)} recordings are simulated and show nobody."]
    if shown and audience == "laboratory":
        lines.append(f"Whether the {shown} participants of the others agreed to publication was not asked.")
    elif shown:
        what = {"publish": "publication", "share": "sharing with named others"}[audience]
        lines.append(f"All {shown} participants of the others agreed to {what} in a signed form.")
    if facts.withheld:
        lines.append(f"{facts.withheld} recordings are not part of it, because somebody did not agree to that.")
    lines.append("Participants are called by pseudonyms; of them nothing is told but what is counted here.")
    return [*lines, "A participant may withdraw: please follow new versions, and delete what they no longer hold.", ""]


def limits(facts: Facts) -> list[str]:
    """What is known to be wrong, missing or untested."""
    labels = [take.labels for take in facts.takes if take.labels is not None]
    found = ["Nobody has searched the pictures for faces or other things that tell who somebody is."]
    if facts.takes and all(take.simulated for take in facts.takes):
        found.append("All of it is simulated; nothing here was seen by a real camera.")
    if unlabelled := sum(take.labels is None for take in facts.takes):
        found.append(f"{unlabelled} recordings have no labels.")
    if labels and not any(held.by_people for held in labels):
        found.append("No person has made or corrected any of the current labels.")
    if "agreement_mm" not in facts.accuracy:
        found.append("How well people agree was not measured.")
    if not any(key.startswith("fingertip") for key in facts.accuracy):
        found.append("Labels were not compared with the point cloud.")
    if not facts.calibrations or not all(facts.calibrations.values()):
        found.append("The error of some calibration is unknown.")
    if not facts.splits:
        found.append("There are no fixed splits, so results of two papers may not compare.")
    if len({take.participant for take in facts.takes}) < 2:
        found.append("It shows one participant at most.")
    return [*(f"- {line}" for line in found), ""]
