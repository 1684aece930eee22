"""How many examples hypothesis tries of every property: 20 in `make test`, always the same; 200 in `make nightly`."""

from hypothesis import HealthCheck, settings

settings.register_profile("default", max_examples=20, deadline=None, derandomize=True)
settings.register_profile(
    "nightly", max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("default")
