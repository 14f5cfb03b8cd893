"""The benchmarks' apps for ASGI servers: `hypercorn served:ours`, with the database in the environment."""

import os

from floor import make_bare, make_floor
from ours import make_ours

DATABASE = os.environ.get("BENCHMARK_DATABASE", "people.sqlite3")

bare, floor, ours = make_bare(), make_floor(DATABASE), make_ours(DATABASE)
