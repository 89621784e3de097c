"""A network: handwritten digits, from a float model to answers of the simulated RTL.

python tutorials/digits_network.py

Weights and digits come from packages of the package index; `make networks` uses the same.
"""

# %% [markdown]
# # A network
#
# Three convolutions and two fully connected layers read handwritten digits. This tutorial quantises
# the float model, looks at where its layers will run, compiles it into one file, and runs the file
# on the reference model and on the simulated RTL.

# %%
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

import vta
from vta import rpc
from vta.inspection import inspect_model
from vta.network_file import save_network
from vta.output import report_output_errors
from vta.quantization import quantise

sys.path.append(str(Path(vta.__file__).parents[1]))  # the checkout
from tests.networks import digits

report_output_errors()
folder = TemporaryDirectory()
work = Path(folder.name)
onnx.save(digits.network(), work / "digits.onnx")
pixels, labels = digits.digits()
print(f"{len(labels):,} digits of {pixels.shape[2]} x {pixels.shape[3]} pixels")

# %% [markdown]
# ## To int8
#
# The machine multiplies int8. Fifty digits show the range of each tensor; from the ranges follow
# the scales.

# %%
samples = digits.prepared(pixels[2::100])
report = quantise(work / "digits.onnx", work / "int8.onnx", [sample[None] for sample in samples])
for layer in report.layers:
    print(f"{layer.node:<14} {layer.decibels:5.1f} dB of signal to quantisation noise")

# %% [markdown]
# ## Where each layer runs

# %%
cfg = vta.get_env().cfg
inspect_model(work / "int8.onnx", cfg, memory="ddr")

# %% [markdown]
# ## Compiled, saved, loaded
#
# The file holds programs, weights and scales. A board that runs it needs neither ONNX nor the
# compiler.

# %%
save_network(vta.compile_model(work / "int8.onnx", cfg=cfg), work / "digits.vtanet")
device = rpc.LocalSession(cfg.replace(target="sim")).ext_dev(0)
net = vta.load(work / "digits.vtanet", device)

tried = slice(0, None, 50)
answers = [int(net(image[None])["logits"].argmax()) for image in digits.prepared(pixels[tried])]
right = np.count_nonzero(np.array(answers) == labels[tried])
print(f"{right} of {len(answers)} digits are right")

# %% [markdown]
# ## On the RTL
#
# The same file on the Verilated hardware: the logits are the same to the last bit, and each layer
# has its cycles.

# %%
rtl = rpc.LocalSession(cfg.replace(target="tsim")).ext_dev(0)
simulated = vta.load(work / "digits.vtanet", rtl)
image = digits.prepared(pixels[3500:3501])
run = simulated.run({"data": image})
np.testing.assert_array_equal(run.outputs["logits"], net(image)["logits"])
print(f"the digit is {labels[3500]}, the answer {run.outputs['logits'].argmax()}")
print(f"{run.cycles:,} cycles")
run
