import pytest

from mss_shared.separation.batch import locks


@pytest.fixture
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases that a test can wait for."""
    monkeypatch.setattr(locks, "LEASE_SECONDS", 1.0)
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.2)
