"""Look for inputs that a parser of this package cannot take, guided by which lines they reach.

    python tests/fuzz/fuzz.py next_page --seconds 60
    python tests/fuzz/fuzz.py --all --seconds 60

Needs atheris (`pip install atheris`, Python 3.11 to 3.13); everything else of the tests runs without it. New inputs go
to a folder that is thrown away, unless `--keep FOLDER` is given; a finding is kept in the target's corpus, where
test_corpus.py replays it. The exit code is 1 if there is one.
"""

import argparse
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
WORDS = HERE / "words.dict"

#: What is watched: the package, and the libraries that parse for it.
WATCHED = ["quartlogin", "itsdangerous", "quart_auth", "flask.json", "wtforms", "werkzeug.http", "werkzeug.sansio"]

LONGEST_INPUT = 4096  # bytes
LONGEST_RUN = 60  # seconds for one input, on the slowest machine: slower is a finding, too
MAX_MEMORY = 2048  # MiB


def main() -> int:
    """Fuzz one target or all, each in a process of its own, and say what came of it."""
    choices = sorted(folder.name for folder in CORPUS.iterdir() if folder.is_dir())
    parser = argparse.ArgumentParser(description="Fuzz the parsers of quartlogin.")
    parser.add_argument("target", nargs="?", choices=choices)
    parser.add_argument("--all", action="store_true", help="every target, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs that reach something new")
    asked = parser.parse_args()
    if asked.all == (asked.target is not None):
        parser.error("name one target, or give --all")
    targets = choices if asked.all else [asked.target]
    findings = [target for target in targets if fuzz(target, asked.seconds, asked.keep)]
    say(f"Findings in: {', '.join(findings)}" if findings else "No findings.")
    return 1 if findings else 0


def fuzz(target: str, seconds: int, keep: Path | None) -> bool:
    """Fuzz one target for some seconds; returns whether there is a finding."""
    with TemporaryDirectory() as folder:
        found = Path(folder, "new") if keep is None else keep / target
        found.mkdir(parents=True, exist_ok=True)
        log, seeds = Path(folder, "log"), CORPUS / target
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST_INPUT}",
            f"-timeout={LONGEST_RUN}",
            f"-rss_limit_mb={MAX_MEMORY}",
            f"-dict={WORDS}",
            f"-artifact_prefix={seeds}/finding-",
            "-print_final_stats=1",
        ]
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, __file__, "--child", target, *options, str(found), str(seeds)],
                env={**os.environ, "TMPDIR": folder},
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        text = log.read_text(encoding="utf-8", errors="replace")
    say(f"{target:18}{summary(text)}{'' if done.returncode == 0 else '   FINDING'}")
    if done.returncode != 0:
        say(text[-6000:])
    return done.returncode != 0


def summary(log: str) -> str:
    """Say in a line what libFuzzer's log says in many."""
    covered = [int(number) for number in re.findall(r"\bcov: (\d+)", log)]
    runs = re.findall(r"stat::number_of_executed_units:\s*(\d+)", log) or re.findall(r"^#(\d+)", log, re.MULTILINE)
    rate = re.findall(r"stat::average_exec_per_sec:\s*(\d+)", log)
    begun = re.search(r"INITED cov: (\d+)", log)
    if not runs or not covered:
        return "ended before it had any figures"
    new = covered[-1] - (int(begun[1]) if begun else 0)
    return f"{runs[-1]:>10} executions{(rate or ['?'])[-1]:>8} a second{covered[-1]:>7} covered{new:>6} of it new"


def be_the_child(target: str, options: list[str]) -> None:
    """Run libFuzzer in this process; it ends the process."""
    # Here alone, since nothing else of the tests needs it; it ships no types.
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415 -- only this script needs it

    sys.path.insert(0, str(HERE))
    with atheris.instrument_imports(include=WATCHED):
        from fuzzed_app import close_fuzzed_app  # noqa: PLC0415 -- watched from their first import on
        from targets import TARGETS  # noqa: PLC0415 -- only this script needs it
    logging.lastResort = None  # what nobody listens to need not be printed a thousand times

    def watched(data: bytes) -> None:
        try:
            TARGETS[target](data)
        except BaseException:
            close_fuzzed_app()  # its threads would keep the process from ending
            raise

    atheris.Setup([sys.argv[0], *options], watched)
    atheris.Fuzz()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        be_the_child(sys.argv[2], sys.argv[3:])
    sys.exit(main())
