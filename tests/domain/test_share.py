"""Each tenant is in one share, and always in the same."""

from domain.share import WHOLE, Share, share_of, shares

TENANTS = [f"tenant-{number}" for number in range(800)]


def test_each_is_in_one_share_and_the_shares_are_about_even() -> None:
    counts = [sum(share.has(tenant) for tenant in TENANTS) for share in shares(8)]
    assert sum(counts) == len(TENANTS)
    assert 70 < min(counts) <= max(counts) < 130


def test_a_tenants_share_never_changes() -> None:
    """What lies beside the log lies there: another hash would need it moved."""
    assert [share_of(tenant, 8).number for tenant in ("acme", "globex", "7d0f3f2e")] == [6, 2, 0]


def test_the_only_share_is_the_whole() -> None:
    assert list(shares(1)) == [WHOLE]
    assert WHOLE.is_whole
    assert all(map(WHOLE.has, TENANTS))
    assert not Share(0, 8).is_whole


def test_a_lease_is_named_by_role_and_share() -> None:
    assert Share(3, 8).lease("publisher") == "publisher-3"
