"""What fits through USB, by sums made by hand."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture import d435_modes
from capture.bandwidth import Connection, Mode, connection, modes_of, plan, verdict
from capture.devices import realsense
from hoi_core.errors import DeviceError

VGA = [Mode("color", 640, 480, 30, "left"), Mode("depth", 640, 480, 30, "left")]


def test_a_mode_weighs_what_goes_over_the_wire():
    # YUYV and Z16: 2 bytes a pixel, Y8: 1.
    assert VGA[0].megabytes_per_s == pytest.approx(18.432)
    assert VGA[1].megabytes_per_s == pytest.approx(18.432)
    assert Mode("infrared", 848, 480, 90).megabytes_per_s == pytest.approx(36.6336)
    assert Mode("color", 640, 480, 30, bytes_per_px=1).megabytes_per_s == pytest.approx(9.216)


def test_both_streams_at_full_rate_fit_usb_3_but_not_usb_2():
    assert plan(VGA, "3.2").possible
    slow = plan(VGA, "2.1")
    assert not slow.possible
    with pytest.raises(DeviceError, match=r"36.9 of 35 MB/s do not fit.*Plug left into a USB 3 port.*95 %"):
        slow.require()
    assert plan([Mode("color", 640, 480, 15, "left"), VGA[1]], "2.1").possible


def test_cameras_on_one_hub_share_it():
    full = [Mode(kind, 1280, 720, 30, view) for view in ("left", "mid", "right") for kind in ("color", "depth")]
    # 3 cameras x 2 streams x 55.3 MB/s = 331.8 MB/s.
    alone = {view: Connection("3.2", f"c{k}") for k, view in enumerate(("left", "mid", "right"))}
    assert plan(full, alone).possible
    shared = {view: Connection("3.2", "c0", "2-1") for view in ("left", "mid", "right")}
    found = plan(full, shared)
    assert [round(share.load_mbs, 1) for share in found.shares] == [331.8, 331.8]
    assert len(found.problems) == 1
    with pytest.raises(DeviceError, match=r"USB hub 2-1 on c0: 331.8 of 300 MB/s.*different controllers"):
        found.require()
    assert plan(full[:4], shared).possible


def test_the_usb_2_of_a_controller_is_shared_by_all_that_is_slow():
    slow = [Mode("color", 640, 480, 30, "a"), Mode("color", 640, 480, 30, "b")]
    assert plan(slow, {"a": Connection("2.1", "c0"), "b": Connection("2.1", "c1")}).possible
    assert not plan(slow, {"a": Connection("2.1", "c0"), "b": Connection("2.1", "c0")}).possible


def test_modes_that_are_not_offered_are_refused():
    assert plan([Mode("color", 640, 480, 60)], table=d435_modes.D435_USB3).possible
    with pytest.raises(DeviceError, match=r"color 1920x1080@60 .* not offered at USB 3.2.*1280x720@30.*--modes"):
        plan([Mode("color", 1920, 1080, 60)], table=d435_modes.D435_USB3).require()
    assert not plan([Mode("depth", 848, 480, 30)], "2.1", d435_modes.D435_USB2).possible


def test_every_mode_of_the_usb_2_table_is_one_of_usb_3_too():
    for kind, sizes in d435_modes.D435_USB2.items():
        for size, rates in sizes.items():
            assert set(rates) <= set(d435_modes.D435_USB3[kind][size])
            fastest = Mode(kind, *size, max(rates))
            assert plan([fastest], "2.1", d435_modes.D435_USB2).possible, "one stream alone fits"


@dataclass
class Plugged:
    port: str
    usb: str = "3.2"
    serial: str = "901"


@pytest.mark.parametrize(
    ("port", "controller", "hub"),
    [
        ("/sys/devices/pci0000:00/0000:00:14.0/usb2/2-3/2-3:1.0/video4linux/video0", "0000:00:14.0", ""),
        ("/sys/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1.4/2-1.4:1.0/video4linux/video6", "0000:00:14.0", "2-1"),
        ("2-1.2-3", "bus 2", "2-1"),
        ("2-3-7", "bus 2", ""),
        ("simulated-901", "", ""),
        ("unknown", "", ""),
    ],
)
def test_the_port_tells_controller_and_hub(port, controller, hub):
    assert connection(Plugged(port)) == Connection("3.2", controller, hub)


def test_a_rigs_streams_are_judged_by_where_its_cameras_are(rigs):
    rig = rigs.SoftwareRig(0)
    streams = [info for device in rig.devices for info in device.streams]
    assert sum(mode.megabytes_per_s for mode in modes_of(streams)) == pytest.approx(2 * 2 * 64 * 48 * 2 * 30e-6)
    assert verdict(streams, realsense.find(rig.context)) == (
        "USB controller of 901: 0.4 of 437 MB/s; USB controller of 902: 0.4 of 437 MB/s"
    )
    assert verdict(streams, []) == "no USB camera in this rig"
    rig.stop()


SIZES = st.sampled_from([(424, 240), (640, 480), (1280, 720), (1920, 1080)])
MODES = st.builds(
    lambda kind, size, fps, device: Mode(kind, *size, fps, device),
    st.sampled_from(["color", "depth", "infrared"]),
    SIZES,
    st.sampled_from([6, 15, 30, 60, 90]),
    st.sampled_from(["a", "b", "c"]),
)
PLACES = st.fixed_dictionaries(
    {
        name: st.builds(Connection, st.sampled_from(["2.1", "3.2"]), st.sampled_from(["", "c0"]), st.just(""))
        for name in ("a", "b", "c")
    }
)


@given(st.lists(MODES, max_size=8), MODES, PLACES)
def test_one_more_stream_never_makes_room(modes, more, places):
    before, after = plan(modes, places), plan([*modes, more], places)
    assert before.possible or not after.possible
    assert after.possible or after.advice, "a refusal says what to change"
    fast = [share for share in after.shares if not share.name.startswith("USB 2")]
    slow = [share for share in after.shares if share.name.startswith("USB 2")]
    total = sum(mode.width * mode.height * {"infrared": 1}.get(mode.kind, 2) * mode.fps for mode in [*modes, more])
    assert sum(share.load_mbs for share in fast + slow) == pytest.approx(total / 1e6)
