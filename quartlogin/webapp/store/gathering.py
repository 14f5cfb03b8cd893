"""Questions that come while the database is busy with others: asked together, in one statement and one trip."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

QuestionT = TypeVar("QuestionT")
AnswerT = TypeVar("AnswerT")

#: Statements for which nobody has waited, after which it is no crowd any more.
_A_WHILE: Final = 8
#: Told to the one who is to ask next, for itself and for all who wait then.
_YOUR_TURN: Final[Any] = object()


@dataclass(frozen=True)
class _Failed:
    error: Exception


class _Waiting(NamedTuple):
    question: Any
    answer: "asyncio.Future[Any]"


class Gathering(Generic[QuestionT, AnswerT]):
    """Asks questions of one kind, alone if nothing is on its way, and otherwise together with all that have come since.

    It is a crowd when somebody has to wait, until nobody has for several statements. In a crowd those who come in the
    same turn of the event loop are asked for together, too. Without one, one more statement may be on its way: two who
    ask again and again would only wait for each other's.

    A question is only ever asked by a statement that begins after it has come, so an answer is never older than the
    question. Nobody is answered with what another asked; who is cancelled neither keeps the others waiting nor is
    waited for. There is no task: one of those who wait asks for all.

    Args:
        ask_all: Asks some questions with one statement; returns their answers in the same order.
        at_once: How many statements may be on their way at a time, in a crowd.
        most: How many questions one statement can hold.
    """

    def __init__(
        self, ask_all: Callable[[Sequence[QuestionT]], Awaitable[Sequence[AnswerT]]], *, at_once: int, most: int
    ) -> None:
        self._ask_all = ask_all
        self._at_once = at_once
        self._most = most
        self._asking = 0
        #: How many statements there were since somebody had to wait.
        self._unawaited = _A_WHILE
        self._waiting: deque[_Waiting] = deque()

    async def ask(self, question: QuestionT) -> AnswerT:
        """Return the answer to a question.

        Raises:
            Exception: Whatever the statement has raised.
        """
        if self._asking >= self._lanes():
            self._unawaited = 0
            told = await self._wait(question)
            if isinstance(told, _Failed):
                raise copy(told.error) from told.error  # each its own: a traceback belongs to one
            if told is not _YOUR_TURN:
                return cast(AnswerT, told)
        else:
            self._asking += 1
        return await self._ask_for_all(question)

    async def _wait(self, question: QuestionT) -> Any:
        waiting = _Waiting(question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            if not waiting.answer.cancelled() and waiting.answer.result() is _YOUR_TURN:
                self._hand_over()
            raise

    async def _ask_for_all(self, question: QuestionT) -> AnswerT:
        others: list[_Waiting] = []
        try:
            if self._is_crowded():  # those who will ask in this turn of the event loop are asked for, too
                await asyncio.sleep(0)
            others += self._next(self._most - 1)
            self._unawaited += 1
            answer, *answers = await self._ask_all([question, *(other.question for other in others)])
        except Exception as error:
            _tell(others, [_Failed(error)] * len(others))
            raise
        except BaseException:  # this one is cancelled, and nobody has answered the others
            self._waiting.extendleft(reversed(others))
            raise
        else:
            _tell(others, answers)
            return answer
        finally:
            self._hand_over()

    def _lanes(self) -> int:
        """Return how many statements may be on their way now: one more for two who would only wait for each other."""
        return self._at_once if self._is_crowded() else self._at_once + 1

    def _is_crowded(self) -> bool:
        return self._unawaited < _A_WHILE

    def _hand_over(self) -> None:
        """Let the next one who waits ask, if anybody does; where others are asking, one of them will hand over, too."""
        for waiting in self._next(1 if self._asking <= self._lanes() else 0):
            waiting.answer.set_result(_YOUR_TURN)
            return
        self._asking -= 1

    def _next(self, most: int) -> list[_Waiting]:
        """Take those out who have waited longest, but for those who have gone."""
        taken: list[_Waiting] = []
        while self._waiting and len(taken) < most:
            waiting = self._waiting.popleft()
            if not waiting.answer.done():
                taken.append(waiting)
        return taken


def _tell(waiting: Sequence[_Waiting], answers: Sequence[Any]) -> None:
    for one, answer in zip(waiting, answers, strict=True):
        if not one.answer.done():
            one.answer.set_result(answer)
