"""The benchmark of sparse encoders: what it shows the engines, and what it says of them."""

import json

import numpy as np
import pytest

from hoi_cli.bench import main
from hoi_core import native
from hoi_core.errors import ConfigError
from learning import edge_images, sparse_plot
from learning.layers import minkowski, spconv_engine
from learning.sparse_bench import Cases, time_encoders

needs_engine = pytest.mark.skipif(bool(native.problem()), reason=f"no native engine: {native.problem()}")


def has_minkowski() -> bool:
    try:
        minkowski.load()
    except ConfigError:
        return False
    return True


def has_spconv() -> bool:
    try:
        spconv_engine.load()
    except ConfigError:
        return False
    return True


@pytest.mark.skipif(not has_minkowski(), reason="MinkowskiEngine: scripts/build_minkowski.sh builds it")
def test_minkowski_engine_is_timed_on_the_same_weights():
    """Where it computed something else the benchmark would stop."""
    timings, _ = time_encoders(Cases(("resnet50",), (0.7,), ("random",), width=4, size=32, repeats=1))
    assert "minkowski" in {row.engine for row in timings}


def test_edge_maps_are_as_scattered_as_those_of_real_crops():
    """Shares of active cells that were measured on real crops at 89 %."""
    found = np.mean([edge_images.active(image) for image in edge_images.images("edges", 0.89, 128, 6, 0)], axis=0)
    np.testing.assert_allclose(found, [0.11, 0.19, 0.33, 0.53, 0.74, 0.90], atol=0.05)


def test_edge_maps_have_the_sparsity_and_cluster():
    """Sites of edges touch: fewer coarse cells than of random pixels hold any."""
    shown = {kind: edge_images.images(kind, 0.9, 64, 1, 0) for kind in ("edges", "random")}
    shares = {kind: np.mean([edge_images.active(image) for image in found], axis=0) for kind, found in shown.items()}
    for kind, found in shares.items():
        assert found[0] == pytest.approx(0.1, abs=0.03), kind
        assert (np.diff(found) >= 0).all()
    assert (shares["edges"][1:4] < 0.8 * shares["random"][1:4]).all()
    np.testing.assert_array_equal(edge_images.active(np.zeros((3, 32, 32), np.float32)), 0.0)


@needs_engine
def test_the_table_and_its_file(tmp_path, capsys):
    flags = ["--backbones", "resnet18", "--images", "random", "--sparsities", "0.5", "1.0", "--width", "8", "--size"]
    out = ["--json", str(tmp_path / "rows.json"), "--plot", str(tmp_path / "rows.svg")]
    assert main(["sparse", *flags, "32", "--repeats", "1", "--layers", *out]) == 0
    found = json.loads((tmp_path / "rows.json").read_text())
    installed = {"minkowski": has_minkowski(), "spconv": has_spconv()}
    theirs = [name for name, there in installed.items() if there]
    engines = ["torch_dense", "ort_fp32", *theirs, "native_fp32", "ort_int8", "native_int8"]
    assert [row["engine"] for row in found["timings"]] == engines * 4
    assert [row["threads"] for row in found["timings"][:: len(engines)]] == [1, 1, 2, 2]
    assert all(row["median_ms"] > 0 for row in found["timings"])
    assert {row["speedup"] for row in found["timings"] if row["engine"].startswith("ort")} == {1.0}
    drawn = (tmp_path / "rows.svg").read_text()
    assert "<svg" in drawn
    layers = found["layers"]
    assert len(layers) == 2 * (1 + 1 + 16 + 3)
    # The stem's multiply-adds of half the pixels at random: nearly all cells of stride 2 are sites.
    assert layers[0]["multiply_adds"] == layers[0]["sites"] * 49 * 3 * 8
    assert 200 < layers[0]["sites"] <= 256
    assert all(row["multiply_adds"] == 0 for row in layers[21:])
    said = capsys.readouterr().out
    assert "ort_fp32" in said
    assert "threads: 2" in said
    for name, there in installed.items():
        assert (f"{name} is not installed" in said) == (not there)
    assert "image 16 3->8 7x7" in said


def test_figures_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        sparse_plot.draw([], tmp_path / "rows.gif")


@pytest.mark.parametrize(
    "wrong", [{"repeats": 0}, {"size": 100}, {"sparsities": (1.5,)}, {"seed": -1}, {"threads": ()}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError):
        Cases(**wrong)
