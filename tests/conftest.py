"""Settings for every test: random tests draw the same cases on every run."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "vta", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("vta")
