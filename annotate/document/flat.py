"""A revision as a flat table of arrays, so that any two can be compared and mended without knowing what they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoi_core.conventions import SIDES, Side
from hoi_core.types import HandKeypoints, HandTrack, ObjectPoints, ObjectTrack, Revision

Array = NDArray[Any]
Flat = dict[str, Array]
"""path -> array; text is an array of UTF-8 bytes. What a step cannot change (times, author, work) is not in it."""

_KIND = {"valid": "?", "status": "u1", "joint_source": "u1", "marks": "u1", "locked": "?", "problems": "u1"}


def flatten(revision: Revision) -> Flat:
    """The labels of a revision; arrays are shared, not copied. Keypoints of a hand without views are nothing."""
    return {path: np.ascontiguousarray(value) for path, value in _parts(revision)}


def _parts(revision: Revision) -> Iterator[tuple[str, Array]]:
    tracks: list[tuple[str, str, HandTrack | ObjectTrack]]
    tracks = [("hands", side, hand) for side, hand in revision.hands.items()]
    tracks += [("objects", name, track) for name, track in revision.objects.items()]
    for group, name, track in tracks:
        for field in fields(track):
            value = getattr(track, field.name)
            yield f"{group}/{name}/{field.name}", np.asarray(value).astype(_KIND.get(field.name, "f8"), copy=False)
    for side, points in revision.keypoints.items():
        for view, values in points.by_view.items():
            yield f"keypoints/{side}/{view}", np.asarray(values, "f8")
        for view, marks in points.marks.items():
            yield f"marks/{side}/{view}", np.asarray(marks, "u1")
    for kind, by_name in (("locked", revision.locked), ("problems", revision.problems)):
        for side, codes in by_name.items():
            yield f"{kind}/{side}", np.asarray(codes).astype(_KIND[kind], copy=False)
    for kind, values_by_name in (("residuals", revision.residuals), ("corrections", revision.corrections)):
        for name, values in values_by_name.items():
            yield f"{kind}/{name}", np.asarray(values, "f8")
    for name, clicks in revision.object_points.items():
        yield f"clicks/{name}/moment", np.asarray(clicks.moment, "i8")
        yield f"clicks/{name}/view", _text(list(clicks.view))
        yield f"clicks/{name}/point_px", np.asarray(clicks.point_px, "f8")
        yield f"clicks/{name}/point_m", np.asarray(clicks.point_m, "f8")
    yield "comments", _text({str(moment): revision.comments[moment] for moment in sorted(revision.comments)})
    yield "keypoint_source", _text(revision.keypoint_source)


def unflatten(flat: Mapping[str, Array], like: Revision) -> Revision:
    """Inverse of `flatten`; names come back in one order, whatever order the table has.

    Args:
        flat: the labels.
        like: gives what is not in the table: times, frame indices, author, work.
    """
    tree: dict[str, Any] = {}
    for path in sorted(flat):
        *groups, name = _split(path)
        here = tree
        for group in groups:
            here = here.setdefault(group, {})
        here[name] = flat[path]
    points, marks = tree.get("keypoints", {}), tree.get("marks", {})
    return replace(
        like,
        hands={side: HandTrack(**tree["hands"][side]) for side in _sides(tree.get("hands", {}))},
        objects={name: ObjectTrack(**track) for name, track in tree.get("objects", {}).items()},
        keypoints={
            side: HandKeypoints(points.get(side, {}), marks.get(side, {})) for side in _sides({**points, **marks})
        },
        locked={side: tree["locked"][side] for side in _sides(tree.get("locked", {}))},
        problems={side: tree["problems"][side] for side in _sides(tree.get("problems", {}))},
        residuals=tree.get("residuals", {}),
        corrections=tree.get("corrections", {}),
        object_points={
            name: ObjectPoints(c["moment"], tuple(_read(c["view"])), c["point_px"], c["point_m"])
            for name, c in tree.get("clicks", {}).items()
        },
        comments={int(moment): text for moment, text in _read(flat["comments"]).items()},
        keypoint_source=_read(flat["keypoint_source"]),
    )


def _split(path: str) -> list[str]:
    """Groups and name; names of residuals and views may hold slashes of their own."""
    group, _, rest = path.partition("/")
    if group in ("hands", "objects", "clicks"):
        return [group, *rest.rsplit("/", 1)]
    if group in ("keypoints", "marks"):
        return [group, *rest.split("/", 1)]
    return [group, rest] if rest else [group]


def _sides(given: Mapping[str, object]) -> list[Side]:
    return [side for side in SIDES if side in given]


def _text(value: object) -> Array:
    return np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), "u1")


def _read(text: Array) -> Any:
    return json.loads(text.tobytes())
