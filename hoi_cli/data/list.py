"""Show every sequence of a dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hoi_cli._run import Common, with_data, write_json


@dataclass(frozen=True, kw_only=True)
class Config(Common):
    """Show every sequence: who, what, how long, how it is labelled."""


def job(command: Config, root: Path) -> None:
    """Run `hoi-data list`."""
    from hoi_core import log
    from hoi_core.errors import HoiError
    from hoi_core.sequence import list_sequences, read_table, sequence_dir

    protocol = read_table(root, "protocol").drop_duplicates("sequence").set_index("sequence")
    rows: list[dict[str, object]] = []
    lines = [f"{'sequence':<10} {'who':<6} {'objects':<7} {'s':>5} {'moments':>7} {'drops':>5}  {'state':<10} labels"]
    for name in list_sequences(root):
        try:
            row = _facts(sequence_dir(root, name))
        except HoiError as error:
            lines.append(f"{name:<10} {error.message}")
            rows.append({"sequence": name, "error": error.message})
            continue
        listed = protocol["status"].get(name, "") if "status" in protocol else ""
        row["status"] = str(listed) or str(row["status"])
        rows.append(row)
        lines.append(
            f"{name:<10} {row['participant']:<6} {row['objects']:<7} {row['seconds']:>5.1f} {row['moments']:>7} "
            f"{row['drops']:>5}  {row['status']:<10} {row['labels']}"
        )
    write_json(command.json, rows)
    title = f"{len(rows)} sequence{'' if len(rows) == 1 else 's'} in {root}"
    following = f"hoi-annotate {rows[-1]['sequence']}" if rows else "hoi-capture --headless --rig simulated"
    if any("error" in row for row in rows):
        following = "hoi-data check"
    log.panel(title, lines if rows else ["No recordings yet."], with_data(following, command.data))


def _facts(folder: Path) -> dict[str, object]:
    from hoi_core.sequence import open_annotation, open_capture

    with open_capture(folder) as capture:
        row: dict[str, object] = {
            "sequence": folder.name,
            "participant": capture.header.participant,
            "objects": " ".join(capture.header.objects),
            "seconds": capture.seconds,
            "moments": len(capture.sync),
            "drops": len(capture.drops),
            "status": "recorded" if capture.complete else "incomplete",
        }
    row["labels"] = ""
    if (folder / "annotation.h5").exists():
        with open_annotation(folder) as annotation:
            row["labels"] = f"{annotation.current} {annotation.about(annotation.current)['author']}"
    return row
