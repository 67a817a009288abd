"""The table of sessions: a key that signed in once, under the hash of what the browser holds."""

from service.gallery.records import Moment
from service.gallery.sqlite.reading import Reading
from service.gallery.sqlite.writing import Writing


def add_session(writing: Writing, session_sha256: str, key_id: str, expires_at: Moment) -> None:
    """Keep a session; those that have expired go."""
    connection = writing.connection
    connection.execute("DELETE FROM sessions WHERE expires_at_us <= ?", (Moment.now().us,))
    connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", (session_sha256, key_id, expires_at.us))


def session_key_id(reading: Reading, session_sha256: str) -> str | None:
    """The key that signed in, or None for a session that is not in force."""
    found = reading.connection.execute(
        "SELECT key_id FROM sessions WHERE session_sha256 = ? AND expires_at_us > ?", (session_sha256, Moment.now().us)
    ).fetchone()
    return None if found is None else str(found[0])


def session_expiry(reading: Reading, session_sha256: str) -> Moment | None:
    """When a session ends, or None for one that is not kept."""
    found = reading.connection.execute(
        "SELECT expires_at_us FROM sessions WHERE session_sha256 = ?", (session_sha256,)
    ).fetchone()
    return None if found is None else Moment(found[0])


def end_session(writing: Writing, session_sha256: str) -> None:
    """Forget it."""
    writing.connection.execute("DELETE FROM sessions WHERE session_sha256 = ?", (session_sha256,))
