"""What all tutorials share: the command line, the session, and the report at the end."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import vta
from vta import rpc
from vta.config import PRESETS, VTAConfig
from vta.environment import Environment, get_env
from vta.errors import VTAError
from vta.memory_timing import PRESETS as MEMORIES
from vta.output import report_output_errors
from vta.targets import wrong_target
from vta.testing import simulator

if TYPE_CHECKING:
    from vta.runtime.remote.session import RemoteSession
    from vta.runtime.session import LocalSession, Session

__all__ = ["arguments", "machine", "open_session", "report"]


def arguments(about: str) -> argparse.ArgumentParser:
    """The options of a tutorial."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--target",
        metavar="{sim,tsim,pcie}",
        type=local_target,
        help="reference model, RTL, or the PCIe card here; default: TARGET",
    )
    parser.add_argument(
        "--remote", metavar="HOST:PORT", type=address, help="use the device of a `vta serve` there"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--preset",
        choices=PRESETS,
        help="the machine; default: VTA_CONFIG, else the preset default",
    )
    which.add_argument("--config", metavar="FILE", help="a vta_config.json")
    parser.add_argument(
        "--memory", choices=tuple(MEMORIES), default="ideal", help="timing of tsim's DRAM"
    )
    return parser


def local_target(text: str) -> str:
    """A target that is on any computer, or in it; boards are reached by --remote."""
    if wrong := wrong_target("the target", text, ("sim", "tsim", "pcie")):
        raise argparse.ArgumentTypeError(wrong)
    return text


def address(text: str) -> tuple[str, int]:
    """HOST:PORT; an IPv6 address in brackets."""
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def open_session(about: str) -> tuple[Environment, Session]:
    """The environment and a session with its device, as the command line asks for.

    A notebook has no command line: its machine is that of ``vta.get_env()``, the configuration in
    the file that VTA_CONFIG names.
    """
    report_output_errors()
    options = arguments(about).parse_args([] if in_notebook() else None)
    try:
        session = remote_session(options) if options.remote else local_session(options)
        Environment.current = env = Environment(session.cfg)  # what vta.build compiles for
        vta.reconfig_runtime(session)
    except VTAError as error:
        sys.exit(str(error))
    simulator.clear_stats()
    return env, session


def in_notebook() -> bool:
    """Whether the program is a notebook; its command line is that of the kernel."""
    return "ipykernel" in sys.modules


def machine(options: argparse.Namespace) -> VTAConfig:
    """The machine that the command line asks for."""
    if options.config:
        cfg = VTAConfig.from_file(options.config)
    else:
        cfg = VTAConfig.preset(options.preset) if options.preset else get_env().cfg
    return cfg.replace(target=options.target) if options.target else cfg


def local_session(options: argparse.Namespace) -> LocalSession:
    """A simulator in this process, or the device that TARGET names."""
    cfg = machine(options)
    timing = {"memory_preset": options.memory} if cfg.target == "tsim" else {}
    session = rpc.LocalSession(cfg, **timing)
    session.ext_dev(0)
    return session


def remote_session(options: argparse.Namespace) -> RemoteSession:
    """A server's device; it is what the server was started with."""
    session = rpc.connect(
        *options.remote, on_wait=lambda place: print(f"waiting for the device, place {place}")
    )
    if options.config or options.preset:
        session.require_config(machine(options))
    if options.target and options.target != session.cfg.target:
        sys.exit(f"the server runs {session.cfg.target}, not {options.target}")
    return session


def report() -> None:
    """Print the counters of all runs so far, and how busy the GEMM core was if there is a clock."""
    stats = simulator.stats()
    print("Execution statistics:")
    for name, value in stats.items():
        print(f"    {name:<16}: {value:>12,}")
    if "cycle_count" in stats:
        share = stats["gemm_counter"] / stats["cycle_count"]
        print(f"    a GEMM product was issued in {share:.1%} of the cycles")
