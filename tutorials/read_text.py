"""Text in a photo: two networks, one that finds lines of print and one that reads them.

python tutorials/read_text.py [PHOTO] [--target sim|tsim]

Both networks come from a package of the package index. Without a photo a page is drawn.
"""

# %% [markdown]
# # Text in a photo
#
# The detector of PP-OCRv6 says where lines of text are; the recogniser reads one line. Both have
# depthwise convolutions, squeeze-and-excitation and GELU, the recogniser attention and layer norm
# besides. This tutorial quantises both, and reads a page with the simulated accelerator.

# %%
import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from PIL import Image

import vta
from vta.network_file import save_network
from vta.networks import compile_model
from vta.output import report_output_errors
from vta.preprocessing import load_photo
from vta.quantization import quantise

sys.path.append(str(Path(vta.__file__).parents[1]))  # the checkout
from tests.networks import printed_text

report_output_errors()
parser = argparse.ArgumentParser(description="Read the text in a photo.")
parser.add_argument("photo", nargs="?", type=Path)
parser.add_argument("--target", default="sim", choices=["sim", "tsim"], help="of the recogniser")
options = parser.parse_args([] if "ipykernel" in sys.modules else None)

# %% [markdown]
# ## The page
#
# The shapes of the inputs are open in the files; these are the ones that the networks are compiled
# for. A photo is resized to the detector's.

# %%
PAGE, LINE = (1, 3, 160, 320), (1, 3, 48, 240)
page = printed_text.page(PAGE, seed=10)
if options.photo is not None:
    photo = Image.fromarray(load_photo(options.photo, "RGB"))
    page = np.asarray(photo.resize((PAGE[3], PAGE[2]), Image.Resampling.BILINEAR))

# %% [markdown]
# ## To int8
#
# Other pages and lines show the ranges of tensors. GELU, sigmoid and hard-swish are made of several
# nodes, of which none is quantised inside: each becomes a table, or a few operations of the vector
# ALU. What layer norm computes stays in real numbers, on the host.

# %%
folder = TemporaryDirectory()
work = Path(folder.name)
for name, shape, samples in (
    ("detector", PAGE, [printed_text.page(PAGE, seed) for seed in range(8)]),
    ("recogniser", LINE, [printed_text.line(text, LINE) for text in printed_text.LINES]),
):
    onnx.save(printed_text.model(name), work / f"{name}.onnx")
    prepare = printed_text.PREPROCESSING[name]
    inputs = [prepare.apply(picture, shape) for picture in samples]
    report = quantise(work / f"{name}.onnx", work / f"{name}8.onnx", inputs, shapes={"x": shape})
    (decibels,) = report.outputs.values()
    print(f"{name}: {decibels:.1f} dB of signal to quantisation noise in the output")

# %% [markdown]
# ## Compiled, and loaded on a device
#
# The detector runs on the reference model, the recogniser on the simulated RTL if `--target tsim`
# says so. Both give the same bits.

# %%
networks = {}
for name, target in (("detector", "sim"), ("recogniser", options.target)):
    cfg = vta.get_env().cfg.replace(target=target)
    network = compile_model(work / f"{name}8.onnx", cfg=cfg, name=name, cached=True)
    save_network(network, work / f"{name}.vtanet")
    networks[name] = vta.load(work / f"{name}.vtanet")
    on_host = len(network.host_steps)
    print(f"{name}: {len(network.steps) - on_host} programs, {on_host} steps of the host")

# %% [markdown]
# ## Where the lines are
#
# The detector gives the probability of text at each pixel. Each connected piece is a line, a bit
# narrower than its letters.

# %%
(probability,) = networks["detector"](
    printed_text.PREPROCESSING["detector"].apply(page, PAGE)
).values()
boxes = printed_text.boxes(probability[0, 0])
print(f"{len(boxes)} lines")

# %% [markdown]
# ## What they say
#
# The recogniser gives the probability of each of 18,710 characters at each place along a line. The
# text is the most probable character at each place, repetitions and blanks left out.

# %%
characters = printed_text.characters()
texts = []
for top, left, bottom, right in boxes:
    inputs = printed_text.PREPROCESSING["recogniser"].apply(
        printed_text.fitted(page[top:bottom, left:right], LINE), LINE
    )
    ran = networks["recogniser"].run({"x": inputs})
    (scores,) = ran.outputs.values()
    texts.append(printed_text.text_of(scores[0], characters))
    cycles = "" if ran.cycles is None else f"   {ran.cycles:,} cycles"
    print(f"{top:4}, {left:4}: {texts[-1]}{cycles}")
assert texts and all(texts), "there is a line without text"
