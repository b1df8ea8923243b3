"""The page at `/`: where customers are, what just happened, and any customer's history."""

from fastapi import FastAPI


def mount_dashboard(app: FastAPI) -> None:
    """Add the pages."""
