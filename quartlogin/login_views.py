"""Login pages: the app's, or that of the innermost blueprint that has one."""

from collections.abc import Mapping, Sequence

from quart import Blueprint, Quart


def login_view_for(
    app: Quart, blueprints: Sequence[str], views: Mapping[str | None, str | None], otherwise: str | None
) -> str | None:
    """Return the login view for a request.

    Args:
        app: The app.
        blueprints: The names of the blueprints that serve the request, innermost first.
        views: The login views of blueprints, by name; `None` stands for the views outside of blueprints.
        otherwise: The app's login view.
    """
    for registered in blueprints:
        for name in names_of(app, registered):
            if name in views:
                view = views[name]
                return f"{registered}{view}" if view is not None and view.startswith(".") else view
    return otherwise if blueprints else views.get(None, otherwise)


def names_of(app: Quart, registered: str | None) -> list[str | None]:
    """Return the names under which the login view of a registered blueprint may be set.

    First the name that it is registered under, such as `shop.admin`, then its original one, unless another blueprint is
    registered under that.
    """
    blueprint = app.blueprints.get(registered or "")
    if blueprint is None:
        return [registered]
    is_its_own = app.blueprints.get(blueprint.name, blueprint) is blueprint
    return [registered, blueprint.name] if is_its_own else [registered]


def registered_names(app: Quart, blueprint: Blueprint) -> list[str]:
    """Return every name that a blueprint is registered under, or its original name if it is not registered yet."""
    return [name for name, known in app.blueprints.items() if known is blueprint] or [blueprint.name]
