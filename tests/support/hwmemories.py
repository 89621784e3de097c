"""SRAMs behind the ports of a block under Amaranth's simulator, and tiles as integers."""

import random
from collections import Counter

from tests.support.slow_model import SlowModel
from vta.hw.compute.accumulators import bank_index


def pack(values, bits):
    """The word that holds ``values`` (signed or not), ``bits`` bits each, the first one lowest."""
    return sum((value % 2**bits) << (number * bits) for number, value in enumerate(values))


def unpack(word, bits, count):
    """The ``count`` signed values of ``bits`` bits in a word."""
    values = [word >> (number * bits) & (2**bits - 1) for number in range(count)]
    return [value - 2**bits if value >= 2 ** (bits - 1) else value for value in values]


async def serve_sram(ctx, memory, reads, writes=()):
    """A memory (a list of words) behind SramReadSignature and whole-word SramWriteSignature ports.

    A read in the cycle of a write gives the old word.
    """
    while True:
        sampled = [value for port in reads for value in (port.en, port.addr)]
        sampled += [value for port in writes for value in (port.mask, port.addr, port.data)]
        _, _, *values = await ctx.tick().sample(*sampled)
        values = iter(values)
        for port in reads:
            en, addr = next(values), next(values)
            if en:
                ctx.set(port.data, memory[addr])
        for _ in writes:
            mask, addr, data = next(values), next(values), next(values)
            if mask:
                memory[addr] = data


async def serve_shared(ctx, memory, reads, writes=(), *, is_ready=None):
    """Like :func:`serve_sram`, behind SharedReadSignature ports: each is ready at its own times,
    and its data is there for one cycle only, and something else before and after.
    """
    is_ready = is_ready or (lambda: True)
    while True:
        readies = [is_ready() for _ in reads]
        for port, ready in zip(reads, readies):
            ctx.set(port.ready, ready)
        sampled = [value for port in reads for value in (port.en, port.addr)]
        sampled += [value for port in writes for value in (port.mask, port.addr, port.data)]
        _, _, *values = await ctx.tick().sample(*sampled)
        values = iter(values)
        for port, ready in zip(reads, readies):
            en, addr = next(values), next(values)
            ctx.set(port.data, memory[addr] if en and ready else ~memory[addr])
        for _ in writes:
            mask, addr, data = next(values), next(values), next(values)
            if mask:
                memory[addr] = data


async def serve_banks(ctx, memory, reads, writes, *, is_ready):
    """Like :func:`serve_sram`, for pairs of a SramReadSignature port and the banks that are busy
    for it: each is free at its own times. What is read of a busy one is wrong, and data is there
    for one cycle only, and something else before and after.
    """
    while True:
        frees = [[is_ready() for _ in busy] for _, busy in reads]
        for (_, busy), free in zip(reads, frees):
            ctx.set(busy, sum((not one) << number for number, one in enumerate(free)))
        sampled = [value for port, _ in reads for value in (port.en, port.addr)]
        sampled += [value for port in writes for value in (port.mask, port.addr, port.data)]
        _, _, *values = await ctx.tick().sample(*sampled)
        values = iter(values)
        for (port, _), free in zip(reads, frees):
            en, addr = next(values), next(values)
            right = en and free[bank_index(addr, len(port.addr), len(free).bit_length() - 1)]
            ctx.set(port.data, memory[addr] if right else ~memory[addr])
        for port in writes:
            mask, addr, data = next(values), next(values), next(values)
            part = len(port.data) // len(port.mask)
            parts = (n for n in range(len(port.mask)) if mask >> n & 1)
            written = sum(((1 << part) - 1) << n * part for n in parts)
            memory[addr] = memory[addr] & ~written | data & written


async def serve_uops(ctx, memory, ports, *, is_ready=None):
    """A micro-op SRAM (a list of words of 32 bits) behind UopReadSignature ports."""
    lanes = len(ports[0].data) // 32
    words = [pack(memory[at : at + lanes], 32) for at in range(0, len(memory), lanes)]
    await serve_shared(ctx, words, ports, is_ready=is_ready)


def machine(cfg, seed=0):
    """A slow model with random memories; the extremes of every width are frequent."""
    rng = random.Random(seed)
    model = SlowModel(cfg)
    model.counters = Counter()

    def fill(rows, bits):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        for row in rows:
            row[:] = [rng.choice([low, high, rng.randint(low, high)]) for _ in row]

    fill(model.inp, cfg.inp_width)
    fill(model.wgt, cfg.wgt_width)
    fill(model.acc, 32)
    return model


def set_uops(model, uops):
    """Puts micro-ops into the machine's micro-op SRAM, from 0 on."""
    for number, uop in enumerate(uops):
        model.uop[number] = model.isa.encode_uop(uop)
