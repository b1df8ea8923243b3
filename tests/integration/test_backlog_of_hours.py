"""A stager that comes back to a backlog of three hours: silence is measured by what was received, not by the clock."""

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from journey.errors import Contended
from journey.touchpoint import Touchpoint
from plumbing.clock import now
from plumbing.store.definitions import load_active
from plumbing.store.engine import make_engine
from services.stager.timers import Timers
from tests.support.place import KINDS
from tests.support.stager import Store, append, looking_into, running_stager, stager_settings, touchpoint
from tests.support.stories import document, rule, text

BACKLOG = timedelta(hours=3)
STORY = document(
    transitions=[
        rule("weighs", "new", "known", on="store_visited"),
        rule("goes_quiet", "known", "new", after="PT1H", of="silence", backward="allow"),
    ]
)
ANNE, BROWSER, BRUNO = {"email": "anne@example.com"}, {"anonymous_id": "b"}, {"email": "bruno@example.com"}


def backlog(began_at: datetime) -> list[Touchpoint]:
    """In the order in which it came: Anne, by her address and her browser by turns, each key in its own partition, is
    never silent for longer than 40 minutes; Bruno is after his only visit; a crowd never for longer than 25."""

    def lived(id_: str, minutes: float, identifiers: dict[str, str], type_: str = "store_visited") -> Touchpoint:
        at = began_at + timedelta(minutes=minutes)
        return touchpoint(id_, type_, occurred_at=at, received_at=at, identifiers=identifiers)

    told = [lived("bruno", 0, BRUNO), lived("anne-in", 0, ANNE | BROWSER)]
    told += [lived(f"anne-{n}", 20 * n, BROWSER if n % 2 else ANNE) for n in range(1, 10)]
    told += [
        lived(f"crowd-{who}-{minutes}", minutes, {"crm_id": f"{who}"})
        for who in range(40)
        for minutes in range(0, 180, 25)
    ]
    return sorted(told, key=lambda one: one.order)


async def test_a_silence_timer_does_not_fire_for_who_was_heard_of_during_the_backlog(
    database_url: str, tmp_path: Path
) -> None:
    """It is never told, not even to be taken back; for who was silent it is, at its instant."""
    (tmp_path / "story.yaml").write_text(text(STORY))
    settings = stager_settings(database_url, journeys=tmp_path, batch_size=10)
    began_at = now() - BACKLOG
    told = backlog(began_at)
    await append(settings, told)
    async with looking_into(database_url) as store:
        async with running_stager(settings):
            assert await _looks_during(database_url, store, len(told)) >= 5
            await store.holds("SELECT reached_at > $1 FROM horizon", told[-1].received_at)
            await store.holds("SELECT NOT EXISTS (SELECT FROM customers, horizon WHERE due_at <= reached_at)")
        quiet = "SELECT occurred_at, cause ->> 'kind', retracted_at FROM transitions WHERE rule = 'goes_quiet'"
        assert await store.rows(quiet) == [(began_at + timedelta(hours=1), "timer", None)]
        assert await store.value("SELECT count(DISTINCT customer) FROM touchpoints WHERE id LIKE 'anne-%'") == 1
        path = (
            "SELECT rule, cause ->> 'id', to_stage FROM transitions WHERE retracted_at IS NULL "
            "AND customer = (SELECT customer FROM touchpoints WHERE id = $1) ORDER BY occurred_at, place"
        )
        begins = [("begins", "anne-in", "new"), ("weighs", "anne-in", "known")]
        assert await store.rows(path, "anne-in") == begins
        assert [stage for _, _, stage in await store.rows(path, "bruno")] == ["new", "known", "new"]


async def _looks_during(database_url: str, store: Store, records: int) -> int:
    """Look at the timers as a second stager would that never rests, until all records are staged; how often while only
    some were."""
    engine, looks, staged = make_engine(database_url, connections=2), 0, 0
    while staged < records:
        staged = await store.value("SELECT coalesce(sum(next_offset), 0)::bigint FROM positions")
        if 0 < staged < records:
            looks += 1
            with suppress(Contended):  # a batch has the same customers: at the next look
                await Timers(engine, await load_active(engine), KINDS).fire()
    await engine.dispose()
    return looks
