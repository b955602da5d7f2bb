"""Is a dataset fit to be used? What its files, recordings, labels and tables say of each other."""

from __future__ import annotations

from pathlib import Path

from dataset_tools.check.evidence import check_evidence
from dataset_tools.check.hands import check_hand
from dataset_tools.check.objects import check_objects
from dataset_tools.check.recording import check_recording
from dataset_tools.check.tables import check_tables
from hoi_core import sequence as sequences
from hoi_core.errors import AssetError, SequenceError
from hoi_core.mano import ManoLayer

__all__ = ["check", "check_tables"]


def check(root: Path, name: str) -> list[str]:
    """Everything that is wrong with a sequence and its current labels, in words; empty when it is sound.

    Reads every image.

    Raises:
        SequenceError: no such sequence, or its recording cannot be opened at all.
    """
    folder = sequences.find_sequence(root, name)
    problems = sequences.check_sequence(folder)
    with sequences.open_capture(folder) as capture:
        problems += check_recording(capture)
        if not sequences.annotation_path(root, name).exists():
            return problems
        try:
            with sequences.open_annotation(folder) as annotation:
                revision, bound = annotation.load(), annotation.binding
            if bound.capture_hash != capture.content_hash():
                return problems  # told already; nothing else could be true of them
            layers = {side: ManoLayer.from_env(side) for side in revision.hands}
            for side, hand in revision.hands.items():
                same = layers[side].model.source == bound.mano_source
                problems += check_hand(side, hand, layers[side] if same else None)
                if not same:
                    problems.append(f"{side} hand: not compared with its parameters, which are of {bound.mano_source}")
            problems += check_evidence(capture, revision, layers)
            problems += check_objects(Path(root), revision)
        except (SequenceError, AssetError) as error:
            problems.append(error.message)
    return list(dict.fromkeys(problems))
