"""Copies of a touchpoint that name somebody else: the copy that counts says who signed in."""

import pytest

from tests.support.stager import append, looking_into, running_stager, stager_settings, touchpoint

TABLET = {"device_id": "tablet"}
OWNERS = "SELECT kind FROM holdings JOIN identifiers ON digest = owner"
PEOPLE = "SELECT count(*) FROM touchpoints GROUP BY customer"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_the_copy_that_counts_says_who_signed_in(database_url: str, order: tuple[int, int]) -> None:
    settings = stager_settings(database_url)
    copies = [
        touchpoint("signs-in", identifiers={"email": "a@example.com", **TABLET}),
        touchpoint("signs-in", identifiers={"phone": "+33612345678", **TABLET}),
    ]
    async with looking_into(database_url) as store, running_stager(settings):
        await append(settings, [touchpoint("before", hours=-1, identifiers=TABLET)])
        await append(settings, [copies[order[0]]])
        await store.staged(2)
        await append(settings, [copies[order[1]]])
        await store.staged(3)
        await append(settings, [touchpoint("after", hours=1, identifiers=TABLET)])
        await store.staged(4)
        assert await store.rows(PEOPLE) == [(3,)]
        assert len(await store.rows(OWNERS)) == 1
