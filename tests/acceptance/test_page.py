"""The page in a real browser: what a marketer and a salesperson see and do first."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from plumbing.embedded.postgres import EmbeddedPostgres
from tests.support.api import PERSONAL, READ
from tests.support.browser import CHROMIUM, FLAGS
from tests.support.world import EMAIL, START, World, inhabited, touched

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
MOVED = {"kind": "touchpoint", "source": "test", "id": "1", "type": "product_tried", "channel": "store"}


@pytest.fixture(scope="module")
async def world(postgres: EmbeddedPostgres, template_database: str) -> AsyncIterator[World]:
    async with inhabited(postgres.url, template_database) as world:
        yield world


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def context(browser: Browser, world: World) -> AsyncIterator[BrowserContext]:
    context = await browser.new_context(base_url=world.url, locale="en-GB", timezone_id="Europe/Paris")
    context.set_default_timeout(15_000)
    yield context
    await context.close()


@pytest.fixture
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A tab on which nothing may go wrong: no error of a script, no breach of the Content-Security-Policy."""
    wrong: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "401" not in message.text and "404" not in message.text:
            wrong.append(message.text)

    page = await context.new_page()
    page.on("console", note)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    assert wrong == []


async def sign_in(page: Page, token: str = READ) -> None:
    await page.request.post("/session", form={"token": token})
    await page.goto("/")
    await expect(page.get_by_text("Happening now")).to_be_visible()


async def test_a_token_opens_the_page_and_signing_out_closes_it(page: Page, context: BrowserContext) -> None:
    await page.goto("/")
    await page.get_by_label("API token").fill(READ)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_text("Happening now")).to_be_visible()
    (cookie,) = [one for one in await context.cookies() if one["name"] == "jalon_session"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert READ not in cookie["value"]
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("API token")).to_be_visible()


@pytest.mark.parametrize("token", ["wrong", "writes"])
async def test_other_tokens_do_not(page: Page, token: str) -> None:
    await page.goto("/")
    await page.get_by_label("API token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("unknown")


async def test_a_printed_link_signs_in_and_its_token_leaves_the_address(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"/#token={READ}")
    await expect(page.get_by_text("Happening now")).to_be_visible()
    assert READ not in page.url
    assert not any(READ in url.split("#")[0] for url in asked)


async def test_the_overview_counts_customers_by_stage(page: Page) -> None:
    await sign_in(page)
    card = page.locator("[data-journey=customer-journey]")
    await expect(card.get_by_role("heading")).to_have_text("Customer journey")
    await expect(card.locator("[data-stage=advocacy] .number")).to_have_text("1")
    await card.get_by_role("link", name="Advocacy").click()
    await expect(page.get_by_role("link", name="l•••@example.com")).to_be_visible()


async def test_the_stream_moves_the_page(page: Page, world: World) -> None:
    await sign_in(page)
    await expect(page.locator("#live")).to_have_text("live")
    counted = page.locator("[data-journey=customer-journey] [data-stage=loyalty] .number")
    before = int(await counted.inner_text())
    buys = touched(timedelta(days=1), "order_completed", "store", {"email": "new@example.com"})
    someone = await world.population.add([buys])
    change = {"stage_before": "decision", "stage_now": "loyalty", "retracted": []}
    await world.population.send(
        someone, "customer-journey", **change, added=[{"rule": "first_purchase", "cause": MOVED}]
    )
    line = page.locator("#happening li").first
    await expect(line).to_contain_text("→ Loyalty")
    await expect(line).to_contain_text("First purchase")
    await expect(counted).to_have_text(str(before + 1))
    await line.get_by_role("link").click()
    await expect(page.get_by_role("heading", name="n•••@example.com")).to_be_visible()


@pytest.mark.parametrize("text", [EMAIL, " LUDOVIC@example.com", "L000123", "a-1"])
async def test_a_customer_is_found_by_any_identifier_which_never_gets_into_the_address(
    page: Page, world: World, text: str
) -> None:
    await sign_in(page, PERSONAL)
    await page.keyboard.press("/")
    await page.keyboard.type(text)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name=EMAIL)).to_be_visible()
    assert page.url.endswith(f"/customers/{world.ludovic}")


async def test_nobody_found_says_so(page: Page) -> None:
    await sign_in(page)
    await page.get_by_role("searchbox").fill("nobody@example.com")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Nobody is known by this")


async def test_a_customer_shows_where_they_are_and_why(page: Page, world: World) -> None:
    await sign_in(page)
    await page.goto(f"/customers/{world.ludovic}")
    path = page.locator("[data-journey=customer-journey]")
    await expect(path.locator("[aria-current=step]")).to_have_text("Advocacy")
    await expect(path).to_contain_text("Posts a positive review")
    lines = page.locator(".timeline > ol > li")
    await expect(lines.first).to_contain_text("Review posted")
    await expect(lines.first).to_contain_text("→ Advocacy")
    await expect(lines.last).to_contain_text("tied by browser")
    await expect(page.locator("body")).not_to_contain_text(EMAIL)
    await page.locator("summary").first.click()
    await expect(page.locator("details[open] li").first).to_be_visible()


async def test_instants_are_told_in_the_readers_own_time(page: Page, world: World) -> None:
    await sign_in(page)
    await page.goto(f"/customers/{world.ludovic}")
    oldest = page.locator(".timeline li > time").last
    await expect(oldest).to_have_text("1 Mar 2026, 10:00")  # 9 o'clock UTC, in Paris
    assert START.hour == 9


async def test_what_events_say_is_never_markup(page: Page, world: World) -> None:
    hostile = touched(
        timedelta(hours=1),
        HOSTILE,
        HOSTILE,
        {"email": "mallory@example.com"},
        properties={HOSTILE: HOSTILE},
        id=HOSTILE,
    )
    mallory = await world.population.add([hostile])
    await sign_in(page, PERSONAL)
    await world.population.send(
        mallory,
        "customer-journey",
        stage_now=HOSTILE,
        added=[{"rule": HOSTILE, "cause": {**MOVED, "type": HOSTILE, "channel": HOSTILE}}],
    )
    await expect(page.locator("#happening li").first).to_contain_text(HOSTILE)
    await page.reload()
    await expect(page.locator("#happening li").first).to_contain_text("<script>")
    await page.goto(f"/customers/{mallory}")
    await expect(page.locator(".timeline")).to_contain_text("<script>")
    assert await page.locator("main img, main script:not([type])").count() == 0
    assert "Jalon" in await page.title()


async def test_the_page_speaks_french(page: Page, world: World) -> None:
    await sign_in(page)
    await page.get_by_role("link", name="Français").click()
    await expect(page.get_by_text("En ce moment")).to_be_visible()
    await page.goto(f"/customers/{world.ludovic}")
    await expect(page.locator("html")).to_have_attribute("lang", "fr")
    await expect(page.locator("[data-journey=customer-journey] [aria-current=step]")).to_have_text("Recommandation")


async def test_pages_fit_the_screen(page: Page, world: World) -> None:
    await sign_in(page)
    for path in ("/", f"/customers/{world.ludovic}", "/journeys/customer-journey/advocacy"):
        await page.goto(path)
        for width in (360, 768, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, width)


async def test_the_page_is_dark_where_the_reader_likes_it_dark(page: Page) -> None:
    await page.emulate_media(color_scheme="dark")
    await sign_in(page)
    dark = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    await page.emulate_media(color_scheme="light")
    assert await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark


async def test_an_address_that_leads_nowhere_says_so(page: Page) -> None:
    await sign_in(page)
    for path in ("/customers/nonsense", "/journeys/nonsense/stage", "/journeys/drive/nonsense"):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_role("alert")).to_contain_text("There is nothing here")
