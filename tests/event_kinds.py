"""The kinds of events of the shipped features, with their titles."""

from quartlogin.accounts.features.shipped import known_events

#: Those that are stored.
KINDS = {name: kind.title for name, kind in known_events().items() if not kind.is_logged_only}
#: Those that are only logged.
LOGGED_ONLY = {name: kind.title for name, kind in known_events().items() if kind.is_logged_only}
