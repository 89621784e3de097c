"""The limits of a server add up: sessions times share is never more than the device has."""

import pytest

from vta.errors import ConfigError
from vta.runtime.remote.limits import Limits, Shares

MIB = 1 << 20


@pytest.mark.parametrize(
    ("given", "free", "sessions", "share"),
    [
        ({}, 256 * MIB, 8, 32 * MIB),
        ({}, 64 * MIB, 4, 16 * MIB),
        ({}, 64 * MIB - 4096, 3, 22_368_256),
        ({}, 120 * 1024, 1, 120 * 1024),
        ({"sessions": 50}, 256 * MIB, 50, 5_365_760),
        ({"sessions": 1}, 256 * MIB, 1, 256 * MIB),
        ({"device_bytes": 128 * MIB}, 256 * MIB, 2, 128 * MIB),
        ({"device_bytes": 100 * MIB}, 256 * MIB, 2, 100 * MIB),
        ({"device_bytes": 5000}, 256 * MIB, 8, 8192),
        ({"sessions": 16, "device_bytes": 16 * MIB}, 256 * MIB, 16, 16 * MIB),
    ],
)
def test_how_memory_is_divided(given, free, sessions, share):
    assert Limits(**given).shares(free) == Shares(sessions, share)
    assert sessions * share <= free and share % 4096 == 0


@pytest.mark.parametrize(
    ("given", "free", "message"),
    [
        ({"sessions": 16, "device_bytes": 128 * MIB}, 256 * MIB,
         "16 sessions with 134217728 bytes of device memory each need 2147483648 bytes; the "
         "device has 268435456"),
        ({"device_bytes": 512 * MIB}, 256 * MIB, "1 sessions with 536870912 bytes"),
        ({"sessions": 31}, 120 * 1024, "31 sessions with 0 bytes .* need 126976 bytes"),
        ({"sessions": 2, "device_bytes": 4097}, 4 * 4096 - 1, "2 sessions with 8192 bytes"),
    ],
)  # fmt: skip
def test_what_the_device_does_not_have_is_not_granted(given, free, message):
    with pytest.raises(ConfigError, match=message):
        Limits(**given).shares(free)


@pytest.mark.parametrize("name", ["sessions", "device_bytes", "files", "file_bytes", "cycles"])
def test_a_limit_must_be_positive(name):
    with pytest.raises(ConfigError, match=f"the limit {name} is 0; must be positive"):
        Limits(**{name: 0})
