"""What is said of who signed in."""

from datetime import datetime

from pydantic import BaseModel


class SessionAnswer(BaseModel):
    """Who is signed in, what they may do, and until when a session lasts (null: there is none)."""

    key_id: str
    scopes: list[str]
    cameras: list[str] | None
    expires_at: datetime | None
