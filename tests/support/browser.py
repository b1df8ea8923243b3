"""The browser of the acceptance tests: the system's Chromium, which asks nobody outside for anything."""

from shutil import which

CHROMIUM = next(filter(None, map(which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""None where the system has none: then Playwright takes the one that `playwright install chromium` put there."""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
