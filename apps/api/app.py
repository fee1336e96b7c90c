"""The service as an ASGI application: `create_app(settings)`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from apps.api.docs import add_docs
from apps.api.envelope import Envelope
from apps.api.hosts import LocalHosts
from apps.api.problems import tell_problems
from apps.api.routes import make_routes
from apps.api.service import Service
from apps.api.settings import Settings
from apps.live.calls import LiveCalls

VERSION = "1.0.0"
"""Version of what is asked and answered, not of a model."""

_SUMMARY = "Hears from a phone recording how the customer left: satisfied, average or unsatisfied."


def create_app(settings: Settings) -> FastAPI:
    """Make the service: judging, versions, state, live calls, and pages about them.

    Processes and the folder for uploads are there from the app's start to its end. Without a token
    it answers only to names of its own computer.

    Args:
        settings: see `Settings`
    """
    service = Service(settings)
    live = LiveCalls(
        settings.workspace,
        token=settings.token,
        count=settings.live_workers,
        alert_from=settings.alert_from,
    )

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        finally:
            service.close()
            live.close()

    app = FastAPI(
        title="Call emotion",
        summary=_SUMMARY,
        version=VERSION,
        lifespan=run,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
    )
    tell_problems(app)
    app.include_router(make_routes(service, token=settings.token))
    app.include_router(live.router)
    add_docs(app)
    if not settings.token:
        app.add_middleware(LocalHosts)
    app.add_middleware(Envelope)
    return app
