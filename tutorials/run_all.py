"""Run every tutorial and print its counters; on tsim also the cycles. `make sim` calls this.

python tutorials/run_all.py [--target sim|tsim] [--memory NAME] [--preset NAME | --config FILE]
python tutorials/run_all.py --remote HOST:PORT
"""

from __future__ import annotations

import contextlib
import io
import runpy
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from tutorial_session import arguments, machine

from vta.config import VTAConfig
from vta.environment import Environment
from vta.errors import VTAError
from vta.output import reported_output
from vta.runtime.simulated import open_simulated
from vta.testing import simulator

TUTORIALS = ("vta_get_started", "matrix_multiply_opt", "convolution_opt")


def main() -> int:
    """Run all; the exit code is 0 if every result was right."""
    options = arguments(__doc__ or "").parse_args()
    console = Console()
    try:
        cfg = machine(options)
        if cfg.target == "tsim" and not options.remote:
            build(cfg, options.memory, console)
        failed = [name for name in TUTORIALS if not run(name, console)]
    except VTAError as error:
        console.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        return 1
    console.print(
        f"[bold red]{len(failed)} failed: {', '.join(failed)}[/]"
        if failed
        else f"[bold green]All {len(TUTORIALS)} tutorials: the results equal NumPy's.[/]"
    )
    return 1 if failed else 0


def build(cfg: VTAConfig, memory: str, console: Console) -> None:
    """Build the simulated RTL of the configuration, unless that was done before."""
    start = time.perf_counter()
    open_simulated(cfg, memory_preset=memory).close()
    seconds = time.perf_counter() - start
    console.print(f"Simulated RTL of {cfg.fingerprint} is ready ({seconds:.1f} s).")


def run(name: str, console: Console) -> bool:
    """Run one tutorial; prints its report, or everything it printed if it fails."""
    console.rule(f"[bold]{name}")
    path = Path(__file__).with_name(f"{name}.py")
    output, start = io.StringIO(), time.perf_counter()
    outer = Environment.current
    try:
        with console.status(f"{name} ..."), contextlib.redirect_stdout(output):
            runpy.run_path(str(path), run_name="__main__")
    except (Exception, SystemExit):
        print(output.getvalue())
        console.print_exception()
        return False
    finally:
        Environment.current = outer
    text = output.getvalue()
    print(text[text.rindex("Execution statistics:") :].rstrip())
    print(f"    ({time.perf_counter() - start:.1f} s)")
    simulator.clear_stats()
    return True


if __name__ == "__main__":
    with reported_output():
        sys.exit(main())
