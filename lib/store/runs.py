"""Runs: what was asked, what came of it, and how to find it again.

A run is there from the moment it is begun. While it is written it is "incomplete", and stays that if nobody comes to
end it: a crash needs no clearing up. All that belongs together is written in one transaction.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, text, update

from lib.access.visitor import MOST_STORED, Visitor
from lib.core.completion import Completion
from lib.core.pieces import Pieces
from lib.core.serialization import pack_completion
from lib.core.tokens import NO_TOKENS, Tokens, concatenate
from lib.errors import BadFile, CandorError, InvalidRequest
from lib.segmentation.char_classes import plain
from lib.store.compression import compact, restore
from lib.store.database import Database
from lib.store.schema import ANSWERS, PIECES, RUNS, TAGS, TEXTS
from lib.store.search import cut, folded, grams_of

INCOMPLETE, FINISHED, CANCELLED, FAILED = "incomplete", "finished", "cancelled", "failed"
STATES = (INCOMPLETE, FINISHED, CANCELLED, FAILED)
DAMAGED = "damaged"  # read so only: some of its row is not what was written
EARLIEST, LATEST = 0, 253_402_300_799_000_000  # microseconds since 1970: to the end of the year 9999
TITLE, EXCERPT = 120, 240  # characters
_AT_ONCE = 500  # runs in one statement
_MOST_RELATED = 200  # runs of one tree


@dataclass(frozen=True)
class Answer:
    """One answer of a run. completion: None where nothing came. error: (cause, remedy) of one that failed."""

    completion: Completion | None = None
    error: tuple[str, str] | None = None


@dataclass(frozen=True)
class Run:
    """Everything about a run but its answers.

    id: 128 random bits, so that knowing it is the right to see the run. owner: who may see it in lists, "" for whoever
    uses this machine. page: which one it came from. model: its name; source: what it is found by, as JSON. title and
    excerpt: how the prompt and the answer begin. parent: id of the run that this one branches from or varies, "" for
    none. details: whatever the page needs to show it as it was, able to be JSON. state: one of STATES. error: (cause,
    remedy) where it failed. version: of the Candor that made it. created: microseconds since 1970. seconds: how long it
    took, None while unknown. tokens, bytes: of all answers; text_bytes: of what it is found by. digest: of what it
    holds, "" until it is over. model_fingerprint, tokenizer_fingerprint: as its engine reports them, "" where it does
    not.
    """

    page: str
    model: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    source: str = ""
    owner: str = ""
    shared: bool = False
    title: str = ""
    excerpt: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    parent: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    state: str = INCOMPLETE
    error: tuple[str, str] | None = None
    version: str = ""
    created: int = 0
    touched: int = 0
    seconds: float | None = None
    tokens: int = 0
    bytes: int = 0
    text_bytes: int = 0
    digest: str = ""
    model_fingerprint: str = ""
    tokenizer_fingerprint: str = ""


@dataclass(frozen=True)
class Known:
    """Whose a run is, the digest of what it holds, and whether it was removed."""

    owner: str
    shared: bool
    digest: str
    removed: bool


MOST_TITLE, MOST_NOTE, MOST_MODEL = 1_000, 100_000, 4_000  # characters
MOST_TAGS, MOST_TAG = 100, 200  # tags of a run, and characters of one


class StoreFull(CandorError):
    """One owner's runs take all the room that there is for each."""


class Runs:
    """The runs in a database. May be used from any thread. Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def begin(self, run: Run) -> None:
        """A run that is about to be written. One that is there already stays as it is. Raises StoreFull."""
        pieces = indexed(_text_of((), run), run.title)
        with self.database.writing() as connection:
            if _number(connection, run.id) is None:
                check_room(connection, run.owner, 1)
                now = microseconds()
                number = insert_run(connection, replace(run, state=INCOMPLETE, created=run.created or now, touched=now))
                index_text(connection, number, pieces)

    def append(self, run_id: str, place: int, part: int, piece: Completion) -> None:
        """More of an answer: `piece` holds what came after part - 1. Part 0 replaces all there was of the answer."""
        data = compact(piece)
        with self.database.writing() as connection:
            number = _number(connection, run_id)
            if number is None:  # it was erased meanwhile
                return
            if part == 0:
                connection.execute(delete(ANSWERS).where(ANSWERS.c.run == number, ANSWERS.c.place == place))
            connection.execute(insert(ANSWERS).values(run=number, place=place, part=part, error="", data=data))
            count = RUNS.c.tokens + len(piece.prompt) + len(piece.generated)
            model, tokenizer = _fingerprints(piece)
            connection.execute(
                update(RUNS)
                .where(RUNS.c.number == number)
                .values(
                    touched=microseconds(),
                    tokens=count,
                    bytes=RUNS.c.bytes + len(data),
                    model_fingerprint=model,
                    tokenizer_fingerprint=tokenizer,
                )
            )

    def finish(self, run: Run, answers: Sequence[Answer]) -> None:
        """A run is over, with these answers; its state, seconds and error are those of `run`.

        What was given to `begin` and `append` is replaced; a run that is not there is made. Names, notes and tags that
        were given meanwhile stay.
        """
        whole = packed(run, answers)
        with self.database.writing() as connection:
            write(connection, whole)

    def get(self, run_id: str) -> Run | None:
        """A run without its answers; None when there is none, or it was removed."""
        with self.database.reading() as connection:
            row = _row(connection, run_id)
            return None if row is None else runs_of(connection, [row])[0]

    def known(self, run_id: str) -> Known | None:
        """Whose a run is and what it holds, also of one that was removed and is not erased yet."""
        with self.database.reading() as connection:
            return known(connection, run_id)

    def open(self, run_id: str) -> tuple[Run, tuple[Answer, ...]] | None:
        """A run and its answers, of one that is incomplete as far as they had come. Raises BadFile for damaged data."""
        with self.database.reading() as connection:
            row = _row(connection, run_id)
            if row is None:
                return None
            run = runs_of(connection, [row])[0]
            parts = connection.execute(
                select(ANSWERS.c.place, ANSWERS.c.error, ANSWERS.c.data)
                .where(ANSWERS.c.run == row.number)
                .order_by(ANSWERS.c.place, ANSWERS.c.part)
            ).all()
        answers: dict[int, list[Any]] = {}
        for each in parts:
            answers.setdefault(each.place, []).append(each)
        try:
            return run, tuple(_answer(each) for each in answers.values())
        except CandorError:
            raise
        except Exception as error:  # whatever damaged bytes make a parser raise
            raise BadFile("The answers of this run are damaged.", "Delete it, or import it again.") from error

    def family(self, run_id: str, *, by: Visitor) -> tuple[Run, ...]:
        """A run, what it branches from and what branches from that, in the order in which they were begun.

        There is a limit to what branches; the run, its line of parents and the visitor's own runs come first.
        """
        with self.database.reading() as connection:
            root = _row(connection, run_id)
            rows: dict[int, Any] = {}
            while root is not None and root.number not in rows and len(rows) < _MOST_RELATED:
                rows[root.number] = root
                root = _row(connection, root.parent) if root.parent else None
            if not rows:
                return ()
            grown = [row.id for row in rows.values()]
            own_first = (RUNS.c.owner == by.owner).desc(), RUNS.c.number
            while grown and len(rows) < 2 * _MOST_RELATED:
                query = select(RUNS).where(RUNS.c.parent.in_(grown), RUNS.c.removed.is_(None)).order_by(*own_first)
                found = [row for row in connection.execute(query.limit(_MOST_RELATED)) if row.number not in rows]
                rows |= {row.number: row for row in found}
                grown = [row.id for row in found]
            return tuple(runs_of(connection, [rows[number] for number in sorted(rows)]))

    def change(self, run_ids: Iterable[str], *, by: Visitor, **values: Any) -> None:
        """Give runs of the visitor another `title`, `note` or `shared`. Those of others stay as they are."""
        if unknown := set(values) - {"title", "note", "shared"}:
            raise ValueError(f"{unknown} cannot be changed")
        for name, most in (("title", MOST_TITLE), ("note", MOST_NOTE)):
            if len(values.get(name, "")) > most:
                raise InvalidRequest(f"The {name} is longer than {most:,} characters.", "Shorten it.")
        if "shared" in values:
            values["shared"] = int(values["shared"])
        with self.database.writing() as connection:
            for some in _groups(run_ids):
                which = [RUNS.c.id.in_(some), *_of(by)]
                connection.execute(update(RUNS).where(*which).values(**values))
                if "title" in values:
                    _index_title(connection, which, values["title"])

    def tag(self, run_id: str, tags: Iterable[str], *, by: Visitor) -> None:
        """The tags of a run of the visitor, in the place of those it had. A run of another's stays as it is."""
        wanted = {each.strip() for each in tags} - {""}
        if len(wanted) > MOST_TAGS or any(len(each) > MOST_TAG for each in wanted):
            raise InvalidRequest(
                f"A run has at most {MOST_TAGS} tags of {MOST_TAG} characters.", "Put a longer text into the note."
            )
        with self.database.writing() as connection:
            number = connection.execute(select(RUNS.c.number).where(RUNS.c.id == run_id, *_of(by))).scalar()
            if number is not None:
                set_tags(connection, number, wanted)

    def remove(self, run_ids: Iterable[str], *, by: Visitor) -> None:
        """Take runs of the visitor out of sight; until they are erased they can be put back."""
        self._mark(run_ids, by, microseconds())

    def put_back(self, run_ids: Iterable[str], *, by: Visitor) -> None:
        """Bring back runs of the visitor that were removed."""
        self._mark(run_ids, by, None)

    def _mark(self, run_ids: Iterable[str], by: Visitor, when: int | None) -> None:
        with self.database.writing() as connection:
            for some in _groups(run_ids):
                connection.execute(update(RUNS).where(RUNS.c.id.in_(some), *_of(by)).values(removed=when))

    def erase(self, before: int) -> int:
        """Erase for good the runs that were removed before then, in microseconds since 1970; returns how many.

        Nothing of them stays, in the text index neither.
        """
        erased = 0
        while True:
            with self.database.writing() as connection:
                gone = select(RUNS.c.number).where(RUNS.c.removed <= before).limit(_AT_ONCE)
                numbers = list(connection.execute(gone).scalars())
                if numbers:
                    _unindex(connection, TEXTS.c.run.in_(numbers))
                    connection.execute(delete(RUNS).where(RUNS.c.number.in_(numbers)))
            if not numbers:
                break
            erased += len(numbers)
        if erased:
            self._scrub()
        return erased

    def _scrub(self) -> None:
        """Have the database forget what it only marks as gone."""
        if self.database.kind == "sqlite":
            with self.database.writing() as connection:
                connection.exec_driver_sql("INSERT INTO grams (grams) VALUES ('optimize')")
            with self.database.outside() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        with self.database.outside() as connection:
            for table in (RUNS, TAGS, ANSWERS, TEXTS):
                connection.exec_driver_sql(f"VACUUM {table.name}")


@dataclass(frozen=True)
class Piece:
    """A piece of a run's text, folded, its place among them, and its trigrams."""

    place: int
    content: str
    grams: list[str]


@dataclass(frozen=True)
class Packed:
    """A run that is over, ready to be written. answers: (error, packed completion or None) each."""

    run: Run
    answers: tuple[tuple[str, bytes | None], ...]
    pieces: list[Piece]

    @property
    def bytes(self) -> int:
        """Of its answers, and of what describes it."""
        return sum(len(data) for _, data in self.answers if data is not None) + _described(self.run)


def _described(run: Run) -> int:
    texts = (run.title, run.note, run.model, run.source, *run.tags, *(run.error or ()))
    return len(json.dumps(run.details)) + sum(len(text.encode("utf-8", "replace")) for text in texts)


def packed(run: Run, answers: Sequence[Answer]) -> Packed:
    """A run as it is written. Takes its time, and so comes before a transaction."""
    whole = completed(run, answers)
    data = ((_json(each.error), None if each.completion is None else compact(each.completion)) for each in answers)
    return Packed(whole, tuple(data), indexed(_text_of(answers, whole)))


def write(connection: Connection, whole: Packed) -> None:
    """See `Runs.finish`."""
    run = whole.run
    number, title = _number(connection, run.id), run.title
    if number is None:
        number = insert_run(connection, replace(run, created=run.created or microseconds()))
    else:
        title = connection.execute(select(RUNS.c.title).where(RUNS.c.number == number)).scalar_one() or title
        changes = _changing(replace(run, title=title))
        connection.execute(update(RUNS).where(RUNS.c.number == number).values(**changes, touched=microseconds()))
        connection.execute(delete(ANSWERS).where(ANSWERS.c.run == number))
        _unindex(connection, TEXTS.c.run == number)
    rows = [
        {"run": number, "place": place, "part": 0, "error": error, "data": data}
        for place, (error, data) in enumerate(whole.answers)
    ]
    if rows:
        connection.execute(insert(ANSWERS), rows)
    connection.execute(update(RUNS).where(RUNS.c.number == number).values(bytes=whole.bytes))
    index_text(connection, number, whole.pieces + indexed("", title))


def known(connection: Connection, run_id: str) -> Known | None:
    """See `Runs.known`."""
    columns = (RUNS.c.owner, RUNS.c.shared, RUNS.c.digest, RUNS.c.removed)
    row = connection.execute(select(*columns).where(RUNS.c.id == run_id)).one_or_none()
    return None if row is None else Known(str(row.owner), bool(row.shared), str(row.digest), row.removed is not None)


def check_room(connection: Connection, owner: str, more: int) -> None:
    """Raise StoreFull where `more` bytes are beyond what is saved for one owner; "" has no limit."""
    if not owner:
        return
    stored = func.coalesce(func.sum(RUNS.c.bytes + RUNS.c.text_bytes), 0)
    has = int(connection.execute(select(stored).where(RUNS.c.owner == owner)).scalar_one())
    if has + more > MOST_STORED:
        raise StoreFull(
            f"Your saved runs take {has / 1e6:,.0f} MB; this server saves at most {MOST_STORED / 1e6:,.0f} MB for "
            "each visitor.",
            "Delete some in History. Results stay on the page and can be downloaded.",
        )


def microseconds() -> int:
    """Now, since 1970."""
    return time.time_ns() // 1000


def completed(run: Run, answers: Sequence[Answer]) -> Run:
    """The run with what follows from its answers: excerpt, tokens, digest."""
    done = [each.completion for each in answers if each.completion is not None]
    model, tokenizer = _fingerprints(done[0]) if done else (run.model_fingerprint, run.tokenizer_fingerprint)
    return replace(
        run,
        model=run.model or next((each.model for each in done), ""),
        excerpt=run.excerpt or next((beginning(each.text, EXCERPT) for each in done if each.text.strip()), ""),
        tokens=sum(len(each.prompt) + len(each.generated) for each in done),
        digest=digest_of(answers),
        model_fingerprint=model,
        tokenizer_fingerprint=tokenizer,
    )


def _fingerprints(done: Completion) -> tuple[str, str]:
    """Those of the model and of its tokenizer, as its engine reports them."""
    reported = dict(done.provenance)
    return reported.get("weights", ""), reported.get("vocabulary", "")


def digest_of(answers: Sequence[Answer]) -> str:
    """What tells answers from others."""
    digest = hashlib.sha256()
    for each in answers:
        packed = b"" if each.completion is None else pack_completion(each.completion)
        for part in (packed, _json(each.error).encode()):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def beginning(text: str, characters: int) -> str:
    """How a text begins, on one line."""
    line = " ".join(plain(text[: 4 * characters]).split())
    return line if len(line) <= characters else line[: characters - 1] + "…"


def runs_of(connection: Connection, rows: Sequence[Row[Any]]) -> list[Run]:
    """Rows of RUNS as runs, with their tags."""
    tags: dict[int, list[str]] = {}
    for some in _groups([row.number for row in rows]):
        found = select(TAGS).where(TAGS.c.run.in_(some)).order_by(TAGS.c.tag)
        for each in connection.execute(found):
            tags.setdefault(each.run, []).append(each.tag)
    return [_run(row, tuple(tags.get(row.number, ()))) for row in rows]


def _run(row: Row[Any], tags: tuple[str, ...]) -> Run:
    """A row as a run. What is not of its kind is replaced, and the run's state is then DAMAGED."""
    values: dict[str, Any] = {}
    whole = True
    for name in _PLAIN:
        value, kind = getattr(row, name), _KINDS.get(name, str)
        fits = type(value) is kind or (kind is float and type(value) is int) or (value is None and name == "seconds")
        if fits and (kind is str or value is None or abs(value) < 1 << 62):
            values[name] = value
        else:
            whole, values[name] = False, kind() if kind is not str or value is None else str(value)
    if not EARLIEST <= values["created"] <= LATEST:
        whole, values["created"] = False, EARLIEST
    details, error = _parsed(row.details, dict), _parsed(row.error or "null", list)
    if not isinstance(details, dict) or not (error is None or (len(error) == 2 and row.error)):
        whole, details, error = False, details if isinstance(details, dict) else {}, None
    run = Run(
        **values,
        shared=row.shared == 1,
        tags=tags,
        details=details,
        error=None if error is None else (str(error[0]), str(error[1])),
    )
    return run if whole and run.state in STATES else replace(run, state=DAMAGED)


def _parsed(text: Any, kind: type) -> Any:
    """JSON of that kind or null, else the text itself."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return text
    return found if found is None or isinstance(found, kind) else text


_PLAIN = (
    *("id", "page", "model", "source", "owner", "title", "excerpt", "note", "parent", "state", "version", "created"),
    *("touched", "seconds", "tokens", "bytes", "text_bytes", "digest", "model_fingerprint", "tokenizer_fingerprint"),
)


_KINDS: dict[str, type] = {
    **dict.fromkeys(("created", "touched", "tokens", "bytes", "text_bytes"), int),
    "seconds": float,
}


def _changing(run: Run) -> dict[str, Any]:
    """What the end of a run settles."""
    names = (
        *("title", "excerpt", "parent", "model", "source", "state", "seconds", "tokens", "digest"),
        *("model_fingerprint", "tokenizer_fingerprint"),
    )
    return {name: getattr(run, name) for name in names} | {
        "model": run.model[:MOST_MODEL],
        "error": _json(run.error),
        "details": json.dumps(run.details, separators=(",", ":")),
    }


def insert_run(connection: Connection, run: Run) -> int:
    """Put a run into the table of runs as it is, with no text yet; returns its number."""
    values = {name: getattr(run, name) for name in _PLAIN} | _changing(run)
    values |= {"shared": int(run.shared), "text_bytes": 0}
    number = connection.execute(insert(RUNS).values(**values).returning(RUNS.c.number)).scalar_one()
    _tag(connection, number, run.tags)
    return int(number)


def set_tags(connection: Connection, number: int, tags: Iterable[str]) -> None:
    """The tags of a run, in the place of those it had."""
    connection.execute(delete(TAGS).where(TAGS.c.run == number))
    _tag(connection, number, tags)


def _tag(connection: Connection, number: int, tags: Iterable[str]) -> None:
    rows = [{"run": number, "tag": tag} for tag in sorted(set(tags))]
    if rows:
        connection.execute(insert(TAGS), rows)


def _of(by: Visitor) -> list[ColumnElement[bool]]:
    """What limits a change to the runs of a visitor."""
    return [] if by.whose is None else [RUNS.c.owner == by.whose]


def number_of(connection: Connection, run_id: str) -> int:
    """The number of a run that is there."""
    return int(connection.execute(select(RUNS.c.number).where(RUNS.c.id == run_id)).scalar_one())


def _number(connection: Connection, run_id: str) -> int | None:
    return connection.execute(select(RUNS.c.number).where(RUNS.c.id == run_id)).scalar()


def _row(connection: Connection, run_id: str) -> Any:
    return connection.execute(select(RUNS).where(RUNS.c.id == run_id, RUNS.c.removed.is_(None))).one_or_none()


def indexed(text: str, title: str = "") -> list[Piece]:
    """The pieces of a text and of a title. Takes its time, and so comes before a transaction."""
    pieces = [*enumerate(islice(cut(folded(text)), PIECES - 1)), (PIECES - 1, folded(title))]
    return [Piece(place, content, grams_of(content)) for place, content in pieces if content]


def index_text(connection: Connection, number: int, pieces: Sequence[Piece]) -> None:
    """Let a run be found by these pieces, too."""
    rows: list[dict[str, Any]] = [
        {"at": number * PIECES + each.place, "run": number, "content": each.content, "grams": each.grams}
        for each in pieces
    ]
    size = RUNS.c.text_bytes + sum(len(each.content.encode()) for each in pieces)
    connection.execute(update(RUNS).where(RUNS.c.number == number).values(text_bytes=size))
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        statement = (
            "INSERT INTO texts (number, run, content, grams) VALUES (:at, :run, :content, array_to_tsvector(:grams))"
        )
        connection.execute(text(statement), rows)
        return
    connection.execute(text("INSERT INTO texts (number, run, content) VALUES (:at, :run, :content)"), rows)
    joined = [{"at": row["at"], "grams": " ".join(row["grams"])} for row in rows]
    connection.execute(text("INSERT INTO grams (rowid, gram) VALUES (:at, :grams)"), joined)


def _index_title(connection: Connection, which: Sequence[ColumnElement[bool]], title: str) -> None:
    """Let runs be found by another title than before."""
    numbers = connection.execute(select(RUNS.c.number).where(*which)).scalars().all()
    _unindex(connection, TEXTS.c.number.in_([number * PIECES + PIECES - 1 for number in numbers]))
    for number in numbers:
        index_text(connection, number, indexed("", title))


def _unindex(connection: Connection, which: ColumnElement[bool]) -> None:
    """Take pieces out of the index, and out of what is kept."""
    gone = connection.execute(select(TEXTS.c.number, TEXTS.c.run, TEXTS.c.content).where(which)).all()
    for each in gone:
        size = RUNS.c.text_bytes - len(each.content.encode())
        connection.execute(update(RUNS).where(RUNS.c.number == each.run).values(text_bytes=size))
    if connection.dialect.name == "sqlite":  # the index keeps no texts, and has to be told what it forgets
        rows = [{"at": each.number, "grams": " ".join(grams_of(each.content))} for each in gone]
        if rows:
            connection.execute(text("INSERT INTO grams (grams, rowid, gram) VALUES ('delete', :at, :grams)"), rows)
    connection.execute(delete(TEXTS).where(which))


def _text_of(answers: Sequence[Answer], run: Run) -> str:
    """Everything that a run is found by, but for its title."""
    done = [each.completion for each in answers if each.completion is not None]
    prompts = list(dict.fromkeys(_plain(each.prompt) for each in done))
    asked = [text for text in _asked(run.details) if not any(text in prompt for prompt in prompts)]
    return "\n".join([*asked, *prompts, *(each.text for each in done)])


def _asked(details: dict[str, Any]) -> list[str]:
    """The texts of a request as `lib.store.plan_codec` describes it: not every service sends back what it was asked."""
    several = details.get("questions")
    questions = [details.get("question"), *(several if isinstance(several, list) else ())]
    found = [text for each in questions if isinstance(each, dict) for text in _texts_of(each.get("request"))]
    return list(dict.fromkeys(found))


def _texts_of(request: object) -> list[str]:
    if not isinstance(request, dict):
        return []
    messages = request.get("messages")
    spoken = [each.get("content") for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    return [text for text in (request.get("prompt"), *spoken) if isinstance(text, str)]


def _plain(tokens: Tokens) -> str:
    """The text of tokens, without control tokens."""
    refs = tokens.refs[tokens.refs >= 0]
    pieces: Pieces = tokens.pieces
    if not len(refs):
        return ""
    return pieces.select(refs[~pieces.special[refs]]).data.tobytes().decode("utf-8", "replace")


def _answer(parts: Sequence[Any]) -> Answer:
    pieces = [restore(each.data) for each in parts if each.data is not None]
    error = _pair(parts[-1].error)
    if not pieces:
        return Answer(None, error)
    if len(pieces) == 1:
        return Answer(pieces[0], error)
    whole = replace(
        pieces[-1],
        prompt=pieces[0].prompt,
        generated=concatenate([each.generated for each in pieces]),
        text="".join(each.text for each in pieces),
    )
    return Answer(whole, error)


def slice_of(completion: Completion, tokens: int, characters: int) -> Completion:
    """What came after so many tokens and characters of the answer, as a part for `Runs.append`."""
    if not tokens:
        return completion
    return replace(
        completion, prompt=NO_TOKENS, generated=completion.generated[tokens:], text=completion.text[characters:]
    )


def _json(error: tuple[str, str] | None) -> str:
    return "" if error is None else json.dumps(list(error))


def _pair(error: str) -> tuple[str, str] | None:
    if not error:
        return None
    cause, remedy = json.loads(error)
    return str(cause), str(remedy)


def _groups(values: Iterable[Any]) -> Iterable[list[Any]]:
    listed = list(values)
    return (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))
