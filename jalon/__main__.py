"""`python -m jalon`: how `jalon up` starts the services, whatever the PATH is."""

from jalon.main import app

app()
