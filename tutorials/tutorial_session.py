"""What all tutorials share: the command line, the session, and the report at the end."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from vta import rpc
from vta.config import VTAConfig
from vta.environment import Environment, get_env
from vta.errors import VTAError
from vta.sim.timing import PRESETS
from vta.testing import simulator

if TYPE_CHECKING:
    from vta.runtime.session import LocalSession

__all__ = ["arguments", "open_session", "report"]


def arguments(about: str) -> argparse.ArgumentParser:
    """The options of a tutorial."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--target", choices=("sim", "tsim"), help="reference model or RTL; default: TARGET"
    )
    parser.add_argument("--config", metavar="FILE", help="a vta_config.json; default: the preset")
    parser.add_argument(
        "--memory", choices=tuple(PRESETS), default="ideal", help="timing of tsim's DRAM"
    )
    return parser


def open_session(about: str) -> tuple[Environment, LocalSession]:
    """The environment and a session with its device, as the command line asks for."""
    options = arguments(about).parse_args()
    try:
        cfg = VTAConfig.from_file(options.config) if options.config else get_env().cfg
        if options.target:
            cfg = cfg.replace(target=options.target)
        env = Environment(cfg)
        Environment.current = env  # what vta.lower and vta.build compile for
        timing = {"memory_preset": options.memory} if cfg.target == "tsim" else {}
        session = rpc.LocalSession(cfg, **timing)
        session.ext_dev(0)
    except VTAError as error:
        sys.exit(str(error))
    simulator.clear_stats()
    return env, session


def report() -> None:
    """Print the counters of all runs so far, and how busy the GEMM core was if there is a clock."""
    stats = simulator.stats()
    print("Execution statistics:")
    for name, value in stats.items():
        print(f"    {name:<16}: {value:>12,}")
    if "cycle_count" in stats:
        share = stats["gemm_counter"] / stats["cycle_count"]
        print(f"    a GEMM product was issued in {share:.1%} of the cycles")
