"""The table of code words."""

from quartlogin.accounts.database.interface import Database


async def word_of(database: Database, user_id: str) -> str | None:
    rows = await database.read("SELECT word FROM quartlogin_code_words WHERE user_id = $1", user_id)
    return rows[0][0] if rows else None


async def set_word(database: Database, user_id: str, word: str, expires_at: int) -> None:
    await database.write(
        "INSERT INTO quartlogin_code_words (user_id, word, expires_at) VALUES ($1, $2, $3)"
        " ON CONFLICT (user_id) DO UPDATE SET word = $2, expires_at = $3",
        *(user_id, word, expires_at),
    )


async def remove_word(database: Database, user_id: str) -> bool:
    return bool(await database.write("DELETE FROM quartlogin_code_words WHERE user_id = $1 RETURNING user_id", user_id))


async def remove_expired(database: Database, now: int, at_most: int) -> int:
    rows = await database.write(
        "DELETE FROM quartlogin_code_words WHERE user_id IN"
        " (SELECT user_id FROM quartlogin_code_words WHERE expires_at < $1 LIMIT $2) RETURNING user_id",
        *(now, at_most),
    )
    return len(rows)
