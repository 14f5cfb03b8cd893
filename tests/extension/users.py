"""The people who sign in to the apps of these tests, and the types of the fixtures that let them."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from quart.typing import TestClientProtocol

from quartlogin import UserMixin

Visit = Callable[..., AbstractAsyncContextManager[None]]
SignIn = Callable[..., Awaitable[TestClientProtocol]]
Receive = Callable[..., Awaitable[Any]]


@dataclass(eq=False)
class User(UserMixin):
    """A user with a name to show."""

    id: str
    name: str
    active: bool = True

    @property
    def is_active(self) -> bool:
        return self.active


ADA = User("1", "Ada")
GRACE = User("2", "Grace")
DISMISSED = User("3", "Dismissed", active=False)

BY_ID = {user.id: user for user in (ADA, GRACE, DISMISSED)}
