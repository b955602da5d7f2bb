"""What was measured, summed up as pandas tables; each has a column `dataset`, so that datasets stand side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dataset_tools.readers import OURS, home
from dataset_tools.split import take_of
from dataset_tools.stats import measure, sparsity
from dataset_tools.stats.collect import Collected
from hoi_core.errors import HoiError
from hoi_core.types import F64

if TYPE_CHECKING:
    import pandas as pd

BANDS, SECTORS = 6, 12
"""Equal areas of the sphere of view directions: bands of elevation, sectors of azimuth."""
FACTS = ("participant", "object", "scenario", "action", "view", "side", "set", "part", "background", "scene")
"""What is counted, where a dataset tells it."""
_SCALARS: Mapping[str, str] = {
    "distance_m": "distance of the hand, m",
    "off_axis_deg": "angle off the camera's axis, degrees",
    "crop_px": "side of the crop in the picture, px",
    "outside": "joints outside of the picture, share",
    "self_hidden": "joints behind the hand itself, share",
    "hidden": "hand behind something else by depth, share",
    "segmented_object": "hand's surface that is an object by segmentation, share",
    "object_visible": "object that is seen, share",
    "depth_valid": "hand's surface with depth, share",
    "depth_offset_mm": "measured less labelled depth, mm",
    "view_elevation_deg": "elevation of the view, degrees",
}
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_STEPS = 20  # cells of each angle's range
_RARE = 0.001  # share of samples below which a cell of a range does not count as reached
_SIDES = {0.0: "right", 1.0: "left"}


def tables(root: Path, measured: Sequence[Collected]) -> dict[str, pd.DataFrame]:
    """Every table: `datasets`, `counts`, `quantities`, `angles`, `poses`, `views`, `bones`, `sparsity`.

    Args:
        root: of the datasets, for what the headers of our own recordings say.
        measured: datasets.
    """
    import pandas as pd

    made = {
        "datasets": [_dataset(one) for one in measured],
        "counts": [counts(root, one) for one in measured],
        "quantities": [_quantities(one) for one in measured],
        "angles": [angles(one) for one in measured],
        "poses": [poses(one) for one in measured],
        "views": [views(one) for one in measured],
        "bones": [_bones(one) for one in measured],
        "sparsity": [_sparsity(one) for one in measured],
    }
    return {name: pd.concat(parts, ignore_index=True) for name, parts in made.items()}


def _dataset(one: Collected) -> pd.DataFrame:
    """One row: how much there is, and how much of it was looked at."""
    import pandas as pd

    keys, rows = one.key_parts, one.rows
    row = {
        "dataset": one.name,
        "samples": len(keys),
        "pictures": int(keys["image"].nunique()),
        "moments": int(keys["moment"].nunique()),
        "views": most_views(one),
        "modalities": ", ".join(one.modalities),
        "measured": len(rows),
        "unreadable": len(one.failed),
        "mesh_share": rows["mesh"].mean(),
        "parameters_share": rows["parameters"].mean(),
        "left_share": rows["left"].mean(),
        "with_object_share": (rows["objects"] != "").mean(),
        "cut_share": _share(rows["outside"] > 0, rows["outside"]),
        "upsampled_share": _share(rows["crop_px"] < measure.INPUT_PX, rows["crop_px"]),
    }
    return pd.DataFrame([row])


def most_views(one: Collected) -> int:
    """Most views of one moment, as the keys tell; 1 where they name no views."""
    keys = one.key_parts
    if "view" not in keys:
        return 1
    return int(keys.drop_duplicates(["moment", "view"]).groupby("moment").size().max())


def counts(root: Path, one: Collected) -> pd.DataFrame:
    """How many samples and pictures show what: `by` (see `FACTS`), `value`, `samples`, `pictures`, `share`, `of`.

    `of` says whether all samples were counted, or those that were looked at: their pictures alone tell the hand's side
    and the objects.
    """
    import pandas as pd

    keys = _with_recordings(root, one)
    out = []
    for fact in FACTS:
        if fact in keys and (keys[fact] != "").any():
            out.append(_counted(one.name, fact, keys[fact].astype(str), keys["image"], "all"))
    done = {str(table["by"].iloc[0]) for table in out if not (table["value"] == "unknown").any()}
    rows = one.rows
    known = {"side": rows["left"].map(_SIDES), "object": rows["objects"].where(rows["objects"] != "", None)}
    for fact, values in known.items():
        if fact not in done and values.notna().any():
            out = [table for table in out if table["by"].iloc[0] != fact]
            out.append(_counted(one.name, fact, values.fillna("none"), rows["key"], "measured"))
    columns = ["dataset", "by", "value", "samples", "pictures", "share", "of"]
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame(columns=columns)


def _counted(name: str, fact: str, values: pd.Series, pictures: pd.Series, of: str) -> pd.DataFrame:
    import pandas as pd

    grouped = pictures.groupby(values.replace("", "unknown").rename("value"))
    table = pd.DataFrame({"samples": grouped.size(), "pictures": grouped.nunique()})
    table = table.sort_values("samples", ascending=False, kind="stable").reset_index()
    table.insert(0, "dataset", name)
    table.insert(1, "by", fact)
    return table.assign(share=table["samples"] / table["samples"].sum(), of=of)


def _with_recordings(root: Path, one: Collected) -> pd.DataFrame:
    """Parts of the keys; of our own recordings also who, what and where, from their headers."""
    keys = one.key_parts
    if one.name != OURS:
        return keys
    known: dict[str, tuple[str, str, str, str]] = {}
    for name in keys["sequence"].cat.categories:
        try:
            take = take_of(home(root, OURS), name)
        except HoiError:
            known[name] = ("", "", "", "")  # a damaged header; the samples are read without it
        else:
            known[name] = (take.participant, ", ".join(take.objects), take.scenario, take.action)
    sequence = keys["sequence"]
    facts = ("participant", "object", "scenario", "action")
    return keys.assign(
        **{fact: sequence.map({name: told[k] for name, told in known.items()}) for k, fact in enumerate(facts)}
    )


def _quantities(one: Collected) -> pd.DataFrame:
    """Spread of single numbers over the samples."""
    import pandas as pd

    out = []
    for column, meaning in _SCALARS.items():
        values = one.rows[column].dropna().to_numpy(np.float64)
        if len(values):
            spread = {f"p{round(100 * q):02d}": np.quantile(values, q) for q in _QUANTILES}
            row = {"dataset": one.name, "quantity": column, "meaning": meaning, "samples": len(values)}
            out.append(row | {"mean": values.mean(), "deviation": values.std()} | spread)
    return pd.DataFrame(out)


def angles(one: Collected) -> pd.DataFrame:
    """How much of each joint's range the hands reach: `low_deg` to `high_deg` are the limits of the joint.

    `reached` is the share of that range, in twenty cells, that at least one sample in a thousand lies in; `beyond` the
    share of samples outside of the limits.
    """
    import pandas as pd

    out = []
    values = one.rows.iloc[:, 2:].to_numpy(np.float64)[:, measure.positions()["angles"]]
    for name, (low, high), column in zip(measure.ANGLE_NAMES, measure.angle_limits_deg(), values.T, strict=True):
        known = column[np.isfinite(column)]
        row = {"dataset": one.name, "angle": name, "low_deg": low, "high_deg": high, "samples": len(known)}
        if len(known):
            cells = np.histogram(known, _STEPS, (low, high))[0]
            row |= {f"p{round(100 * q):02d}_deg": np.quantile(known, q) for q in _QUANTILES}
            row["reached"] = float((cells >= max(_RARE * len(known), 1)).mean())
            row["beyond"] = float(((known < low) | (known > high)).mean())
        out.append(row)
    return pd.DataFrame(out)


def poses(one: Collected) -> pd.DataFrame:
    """How varied the poses are, in one row.

    `dimensions` is the exponential of the entropy of the variances along the principal axes of the flexions and
    abductions: 1 if all poses lie on a line, as many as there are angles if they spread alike in all. `components_90`
    is how many axes hold nine tenths of the variance. `finger_states` of 32 tells which fingers are bent, and
    `finger_entropy_bits` how evenly these states occur (5 at most).
    """
    import pandas as pd

    columns = measure.positions()
    values = one.rows.iloc[:, 2:].to_numpy(np.float64)
    pose = values[:, columns["angles"]]
    pose = pose[:, np.isfinite(pose).any(0)]
    pose = pose[np.isfinite(pose).all(1)]
    row: dict[str, object] = {"dataset": one.name, "samples": len(pose), "angles": pose.shape[1]}
    if len(pose) > 1 and pose.shape[1]:
        variance = np.linalg.eigvalsh(np.cov(pose.T))[::-1].clip(0)
        share = variance / max(variance.sum(), np.finfo(float).tiny)
        row["dimensions"] = float(np.exp(entropy(share)))
        row["components_90"] = int(np.searchsorted(np.cumsum(share), 0.9 - 1e-9) + 1)
        row["deviation_deg"] = float(np.sqrt(variance.sum() / pose.shape[1]))
    bent = values[:, columns["bent"]]
    bent = bent[np.isfinite(bent).all(1)]
    if len(bent):
        states = np.bincount((bent @ (1 << np.arange(5))).astype(int), minlength=32)
        row["finger_states"] = int((states > 0).sum())
        row["finger_entropy_bits"] = entropy(states / states.sum()) / float(np.log(2))
    return pd.DataFrame([row])


def table5(datasets: pd.DataFrame) -> pd.DataFrame:
    """Rows as Table 5 of the SPLite paper prints them: size in pictures, mesh, views, modalities.

    A cross under multi-view means that the dataset's keys name no second view of a moment.

    Args:
        datasets: the table of that name.
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "Dataset": datasets["dataset"],
            "Size": datasets["pictures"].map(short),
            "Mesh": datasets["mesh_share"].map(lambda share: "✓" if share > 0 else "×"),
            "Multi-view": datasets["views"].map(_several),
            "Multi-modality": datasets["modalities"].map(lambda names: _several(len(names.split(", ")))),
        }
    )


def short(count: float) -> str:
    """A count as a table prints it.

    Example:
        >>> short(720), short(135_204), short(2_400_000)
        ('720', '135K', '2.4M')
    """
    if count < 1000:
        return f"{count:.0f}"
    return f"{count / 1e3:.0f}K" if count < 999_500 else f"{count / 1e6:.3g}M"


def _several(count: int) -> str:
    return f"✓({count})" if count > 1 else "×"


def views(one: Collected) -> pd.DataFrame:
    """Where the cameras are, seen from the palm: samples in each of 72 equal areas of the sphere.

    `elevation_deg` and `azimuth_deg` are the middle of the area; see `hands.view_angles` for what they mean.
    """
    import pandas as pd

    known = one.rows[["view_elevation_deg", "view_azimuth_deg"]].dropna().to_numpy(np.float64)
    cells, heights, sectors = np.histogram2d(
        np.sin(np.deg2rad(known[:, 0])), known[:, 1], (BANDS, SECTORS), ((-1.0, 1.0), (-180.0, 180.0))
    )
    middles = np.rad2deg(np.arcsin((heights[1:] + heights[:-1]) / 2))
    band, sector = np.indices((BANDS, SECTORS)).reshape(2, -1)
    return pd.DataFrame(
        {
            "dataset": one.name,
            "elevation_deg": middles[band],
            "azimuth_deg": ((sectors[1:] + sectors[:-1]) / 2)[sector],
            "samples": cells.ravel().astype(int),
            "share": cells.ravel() / max(cells.sum(), 1),
        }
    )


def _bones(one: Collected) -> pd.DataFrame:
    """Lengths of the bones, mm."""
    import pandas as pd

    out = []
    values = one.rows.iloc[:, 2:].to_numpy(np.float64)[:, measure.positions()["bones"]]
    for name, column in zip(measure.BONE_NAMES, values.T, strict=True):
        known = column[np.isfinite(column)]
        if len(known):
            spread = {f"p{round(100 * q):02d}_mm": np.quantile(known, q) for q in (0.05, 0.5, 0.95)}
            row = {"dataset": one.name, "bone": name, "samples": len(known), "mean_mm": known.mean()}
            out.append(row | {"deviation_mm": known.std()} | spread)
    return pd.DataFrame(out)


def _sparsity(one: Collected) -> pd.DataFrame:
    """Share of zero pixels of the network's input, for each kind of edge and each threshold; `sensor` is recorded."""
    import pandas as pd

    out = []
    zeros = {name: one.rows[name].dropna().to_numpy(np.float64) for name in sparsity.names()}
    for name, values in {**zeros, "sensor": one.sensor}.items():
        kind, _, threshold = name.partition("_")
        if len(values):
            spread = {f"p{round(100 * q):02d}": np.quantile(values, q) for q in (0.05, 0.5, 0.95)}
            row = {"dataset": one.name, "edges": kind, "threshold": threshold.replace("_", " ")}
            out.append(row | {"samples": len(values), "mean": values.mean(), "deviation": values.std()} | spread)
    return pd.DataFrame(out)


def entropy(shares: F64) -> float:
    """Entropy of shares that sum to 1, in nats."""
    known = shares[shares > 0]
    return float(-(known * np.log(known)).sum())


def _share(which: pd.Series, of: pd.Series) -> float:
    """Share of the known values for which something holds; NaN if none is known."""
    return float(which[of.notna()].mean()) if of.notna().any() else float("nan")
