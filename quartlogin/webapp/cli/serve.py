"""The command that starts the service."""

import socket
import sys
from ipaddress import ip_address

import click

from quartlogin.accounts.commands import accounts_command

from ..server import config_for, run
from .keys import system_message
from .source import Servable


@click.command()
@click.option("--host", default="localhost", show_default=True, help="The address to listen on.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535), help="The port to listen on.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="The number of processes.")
@accounts_command
def serve(host: str, port: int, workers: int, source: Servable) -> None:
    """Start the service. Creates a missing database and, on a loopback address, a missing secret key.

    \b
    quartlogin serve --port 8000
    quartlogin serve --app mymodule:app --workers 2
    QUARTLOGIN_SECRET_KEY=... quartlogin serve --host 0.0.0.0 --workers 2 --database postgresql://db/people
    """
    make_app = source.prepare(is_loopback=_is_loopback(host))
    addresses = _addresses(host)
    for address in addresses:
        _check_is_free(address, port)
    click.echo(f"Serving {source.title} at http://{_for_url(host)}:{port} (press Ctrl+C to stop).")
    bind = [f"{_for_url(address)}:{port}" for address in addresses]
    sys.exit(run(config_for(bind, workers, source.max_message_size), make_app))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _addresses(host: str) -> list[str]:
    """Return the addresses to bind: both of localhost's, since browsers try either first."""
    if host != "localhost":
        return [host.strip("[]")]
    return ["127.0.0.1", *(["::1"] if _has_ipv6_loopback() else [])]


def _has_ipv6_loopback() -> bool:
    try:
        _listen("::1", 0)
    except OSError:
        return False
    return True


def _check_is_free(address: str, port: int) -> None:
    try:
        _listen(address, port)
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {_for_url(address)}:{port}: {system_message(error)}.") from None


def _listen(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.create_server((address, port), family=family).close()


def _for_url(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
