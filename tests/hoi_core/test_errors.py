import pickle

from hoi_core.errors import DeviceError, HoiError


def test_the_hint_follows_the_message():
    error = DeviceError("expected two cameras, found one.", "Plug in the second.")
    assert str(error) == "expected two cameras, found one. Plug in the second."


def test_the_hint_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(DeviceError("met", "do")))  # noqa: S301 - our own bytes
    assert (type(error), error.message, error.hint) == (DeviceError, "met", "do")
    assert isinstance(error, HoiError)
