"""Settings of all tests."""

from hypothesis import settings

# A busy machine is no failure: no test asserts a time.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
