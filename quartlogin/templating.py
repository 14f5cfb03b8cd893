"""How Jinja templates come to see `current_user`: loaded when a template first names it, not before.

Templates of an async environment are compiled to coroutines, so the name `current_user` can be compiled to an
`await`. A template that does not name it costs nothing, and what filters, tests, macros and calls get is the
real user object.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Final, cast

from jinja2 import BytecodeCache, Environment, Template, nodes
from jinja2.bccache import Bucket
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import TemplateModule
from quart import Quart

from .current import CurrentUser, current_user
from .loading import is_rendering, output_is_kept, user_for_template

NAME: Final = "current_user"
_RESOLVER: Final = "quartlogin_resolve"  # the name of `resolve` on the environment, for compiled templates


def install(app: Quart) -> None:
    """Make `current_user` known to the app's templates, also if its environment exists already."""
    if any(other.singleton for other in app.extensions.get("QUART_AUTH", [])):
        warnings.warn(
            "A QuartAuth on this app gives templates a current_user of its own, which goes before quartlogin's: "
            "write QuartAuth(app, singleton=False), or LoginManager(app, add_context_processor=False).",
            stacklevel=4,
        )
    if "jinja_env" in vars(app):  # a cached property: building it here would freeze app.jinja_options
        _equip(app.jinja_env)
        return

    chosen: Any = app.jinja_environment  # the app may have a class of its own

    class LoginEnvironment(chosen):  # type: ignore[misc]  # known only now
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            _equip(self)

    app.jinja_environment = LoginEnvironment


async def resolve(value: Any) -> Any:
    """Return what the name `current_user` means in a template, given what Jinja found under it.

    A `{% set %}`, a loop variable, a macro argument or a variable given by the view keeps its own meaning.

    Raises:
        UserNotLoadedError: Jinja is evaluating a template whose output it keeps for every later request.
    """
    return await user_for_template() if type(value) is CurrentUser else value


def _equip(environment: Environment) -> None:
    generator = environment.code_generator_class
    template = environment.template_class
    environment.code_generator_class = type("LoginCodeGenerator", (_LoginCodeGenerator, generator), {})
    environment.template_class = type("LoginTemplate", (_LoginTemplate, template), {})
    environment.globals[NAME] = current_user
    setattr(environment, _RESOLVER, resolve)
    if environment.bytecode_cache is not None:
        environment.bytecode_cache = _SaltedBytecodeCache(environment.bytecode_cache)
    if environment.cache is not None:
        environment.cache.clear()  # whatever was compiled before would not await


class _LoginCodeGenerator(CodeGenerator):
    """Compiles a read of `current_user` to an `await` of `resolve`."""

    def visit_Name(self, node: nodes.Name, frame: Frame) -> None:  # noqa: N802 -- Jinja's name
        if node.name != NAME or node.ctx != "load":
            super().visit_Name(node, frame)
            return
        self.write(f"(await environment.{_RESOLVER}(")
        super().visit_Name(node, frame)
        self.write("))")


class _LoginTemplate(Template):
    """Knows when a template is rendered, and when it is evaluated without context, whose output Jinja keeps."""

    async def render_async(self, *args: Any, **kwargs: Any) -> str:
        token = is_rendering.set(True)
        try:
            return await super().render_async(*args, **kwargs)
        finally:
            is_rendering.reset(token)

    async def make_module_async(
        self,
        vars: dict[str, Any] | None = None,  # noqa: A002 -- Jinja's name
        shared: bool = False,
        locals: Mapping[str, Any] | None = None,  # noqa: A002 -- Jinja's name
    ) -> TemplateModule:
        token = output_is_kept.set(output_is_kept.get() or vars is None)
        try:
            return await super().make_module_async(vars, shared, locals)
        finally:
            output_is_kept.reset(token)


class _SaltedBytecodeCache(BytecodeCache):
    """Keeps templates compiled with `current_user` apart from those that another environment compiled."""

    def __init__(self, cache: BytecodeCache) -> None:
        self._cache = cache

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        return self._cache.get_cache_key(f"quartlogin:{name}", cast(str, filename))

    def load_bytecode(self, bucket: Bucket) -> None:
        self._cache.load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._cache.dump_bytecode(bucket)

    def clear(self) -> None:
        self._cache.clear()
