"""The same app with quartlogin: its sessions, and the application's record of logins behind the loader."""

from datetime import timedelta

from floor import KEY, TEMPLATES, add_pages
from quart import Quart

from quartlogin import LoginManager, SignedSessionInterface
from quartlogin.accounts.audit.log import AuditLog
from quartlogin.accounts.database.models import User
from quartlogin.accounts.features.logins.service import LoginStore
from quartlogin.accounts.features.logins.user_loader import APPLICATION, UserLoader
from quartlogin.accounts.features.shipped import known_events
from quartlogin.accounts.store import store_at
from quartlogin.accounts.users.own import OwnDirectory


def make_ours(database: str) -> Quart:
    """Create the app, which reads logins and users from SQLite or PostgreSQL."""
    app = Quart("ours", template_folder=str(TEMPLATES))
    app.secret_key = KEY
    app.session_interface = SignedSessionInterface()
    login_manager: LoginManager[User] = LoginManager(app)
    store = store_at(database)
    month = timedelta(days=30)
    logins = LoginStore(
        store,
        AuditLog(store.events, known_events()),
        login_manager,
        audience=APPLICATION,
        idle=month,
        lifetime=month,
        per_user=50,
    )
    login_manager.records = logins
    user_loader = UserLoader(store, OwnDirectory(store), APPLICATION, month)
    login_manager.user_loader(user_loader.find)

    @app.before_serving
    async def connect() -> None:
        await store.database.open()

    @app.after_serving
    async def disconnect() -> None:
        await user_loader.last_seen.flush()
        await store.database.close()

    add_pages(app)
    return app
