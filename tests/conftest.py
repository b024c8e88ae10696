"""What all tests share."""

from hypothesis import settings

# A busy machine is slow, not wrong: no property has a deadline.
settings.register_profile("regulome", deadline=None)
settings.load_profile("regulome")
