"""Writes operations.txt: what PyTorch 2.13 computes for the operations of a graph.

A case is its name, then its operands (>) and results (<) as type, shape and elements. Everything runs in float64, but
nearest resizing, whose choice of pixels depends on the rounding of float32.

    python make_operations.py > operations.txt
"""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
names = set()


def numbers(*shape, low=-2.0, high=2.0):
    """Multiples of 1/64, which are short to write and exact."""
    return torch.randint(int(low * 64), int(high * 64), shape).double() / 64


def line(sign, tensor):
    kind = str(tensor.dtype).removeprefix("torch.")
    shape = ",".join(map(str, tensor.shape)) or "-"
    values = (("%.13g" % value) for value in tensor.double().flatten().tolist())
    print(sign, kind, shape, *values)


def case(name, operands, results):
    assert name not in names, name
    names.add(name)
    print(name)
    for operand in operands:
        line(">", operand)
    for result in results if isinstance(results, (tuple, list)) else [results]:
        line("<", result)


def call(name, function, *operands):
    case(name, operands, function(*operands))


# Products

call("conv1d", lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=2, dilation=3), numbers(2, 3, 11), numbers(5, 3, 2), numbers(5))
call("conv2d", F.conv2d, numbers(1, 2, 4, 5), numbers(3, 2, 3, 2), numbers(3))
call("conv2d groups", lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(1, 2), groups=2), numbers(2, 4, 5, 3), numbers(6, 2, 3, 3))
call("conv2d depthwise", lambda x, w: F.conv2d(x, w, padding=1, groups=3), numbers(1, 3, 3, 3), numbers(3, 1, 3, 3))
call("conv2d asymmetric", lambda x, w: F.conv2d(F.pad(x, (0, 3, 1, 2)), w, stride=2), numbers(1, 2, 4, 5), numbers(2, 2, 3, 3))
call("conv2d long rows", lambda x, w: F.conv2d(x, w), numbers(1, 19, 2, 2), numbers(2, 19, 1, 1))
call("conv3d", lambda x, w: F.conv3d(x, w, stride=(1, 2, 1), padding=(1, 0, 1), dilation=(1, 1, 2)), numbers(1, 2, 3, 4, 5), numbers(2, 2, 2, 3, 3))
call("conv2d empty batch", F.conv2d, numbers(0, 2, 3, 3), numbers(2, 2, 2, 2))
call("transposed1d", lambda x, w: F.conv_transpose1d(x, w, stride=3, padding=1, output_padding=2, dilation=2), numbers(1, 2, 4), numbers(2, 3, 3))
call("transposed2d", lambda x, w, b: F.conv_transpose2d(x, w, b, stride=2, padding=(1, 0), output_padding=1, groups=2), numbers(2, 4, 3, 2), numbers(4, 3, 3, 2), numbers(6))
call("transposed3d", lambda x, w: F.conv_transpose3d(x, w, stride=(1, 2, 1)), numbers(1, 1, 2, 2, 2), numbers(1, 2, 2, 1, 3))
call("linear", F.linear, numbers(2, 3, 13), numbers(5, 13), numbers(5))
call("linear vector", F.linear, numbers(3), numbers(2, 3))
call("linear without features", F.linear, numbers(2, 0), numbers(3, 0), numbers(3))
call("matmul", torch.matmul, numbers(3, 4), numbers(4, 5))
call("matmul broadcast", torch.matmul, numbers(2, 1, 3, 4), numbers(5, 4, 2))
call("matmul whole numbers", torch.matmul, torch.tensor([[1, -2], [3, 4]]), torch.tensor([[5], [7]]))
call("einsum bnqc,bkc->bqnk", lambda a, b: torch.einsum("bnqc,bkc->bqnk", a, b), numbers(2, 3, 2, 4), numbers(2, 5, 4))
call("einsum ii,j->i", lambda a, b: torch.einsum("ii,j->i", a, b), numbers(3, 3), numbers(2))
call("einsum ab,ab->", lambda a, b: torch.einsum("ab,ab->", a, b), numbers(3, 2), numbers(3, 2))
attention = F.scaled_dot_product_attention
call("attention", attention, numbers(2, 2, 3, 4), numbers(2, 2, 5, 4), numbers(2, 2, 5, 3))
call("attention scale", lambda q, k, v: attention(q, k, v, scale=0.25), numbers(1, 3, 4), numbers(1, 2, 4), numbers(1, 2, 4))
call("attention mask", lambda q, k, v, m: attention(q, k, v, m), numbers(2, 3, 4), numbers(2, 5, 4), numbers(2, 5, 4), numbers(3, 5))
keep = torch.tensor([[True, False, True], [False, False, False]])
call("attention bool mask", lambda q, k, v, m: attention(q, k, v, m), numbers(2, 2, 4), numbers(2, 3, 4), numbers(2, 3, 4), keep)

# Normalisation


def batch_norm(name, shape, momentum=0.1):
    x, w, b, mean = numbers(*shape), *(numbers(shape[1]) for _ in range(3))
    variance = numbers(shape[1], low=0.5, high=3)
    call(name, lambda x, w, b, m, v: F.batch_norm(x, m, v, w, b, eps=1e-3), x, w, b, mean, variance)
    new_mean, new_variance = mean.clone(), variance.clone()
    y = F.batch_norm(x, new_mean, new_variance, w, b, training=True, momentum=momentum, eps=1e-3)
    case(name + " training", [x, w, b, mean, variance], [y, new_mean, new_variance])


batch_norm("batchnorm", (3, 4, 2, 3))
batch_norm("batchnorm1d", (5, 3))
batch_norm("batchnorm momentum", (2, 1, 7), momentum=0.75)
call("layernorm", lambda x, w, b: F.layer_norm(x, (7,), w, b, eps=1e-6), numbers(2, 3, 7), numbers(7), numbers(7))
call("layernorm axes", lambda x: F.layer_norm(x, (3, 5)), numbers(2, 3, 5))
call("rmsnorm", lambda x, w: F.rms_norm(x, (5,), w, eps=1e-4), numbers(3, 5), numbers(5))
call("rmsnorm eps", lambda x: F.rms_norm(x, (5,)), numbers(3, 5) * 1e-7)
call("groupnorm", lambda x, w, b: F.group_norm(x, 3, w, b, eps=1e-4), numbers(2, 6, 2, 2), numbers(6), numbers(6))
call("instancenorm", lambda x: F.group_norm(x, 2), numbers(2, 2, 5))
for axis in (0, 1, -1):
    call(f"softmax {axis}", lambda x: F.softmax(x, axis), 400 * numbers(2, 3, 5))
    call(f"logsoftmax {axis}", lambda x: F.log_softmax(x, axis), 4 * numbers(2, 3, 5))
call("softmax scalar", lambda x: F.softmax(x, 0), numbers())
call("softmax masked", lambda x: F.softmax(x, -1), torch.tensor([0, -torch.inf, 1]).double())

# Element by element

edge = torch.tensor([-torch.inf, -100, -20, -3.5, -3, -2.5, -1.5, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 1.5, 2.5, 3, 3.5, 6, 20.5, 100, torch.inf, torch.nan]).double()
unary = {
    "abs": torch.abs, "ceil": torch.ceil, "cos": torch.cos, "erf": torch.erf, "exp": torch.exp, "floor": torch.floor,
    "log": torch.log, "negate": torch.neg, "reciprocal": torch.reciprocal, "round": torch.round,
    "rsqrt": torch.rsqrt, "sign": torch.sign, "sin": torch.sin, "sqrt": torch.sqrt, "square": torch.square,
    "tan": torch.tan, "clip": lambda x: x.clip(-1.25, 2), "clip below": lambda x: x.clip(min=0.5),
    "clip above": lambda x: x.clip(max=0.5), "celu": lambda x: F.celu(x, 0.75), "elu": lambda x: F.elu(x, 1.5),
    "gelu": F.gelu, "gelu tanh": lambda x: F.gelu(x, approximate="tanh"), "hardshrink": lambda x: F.hardshrink(x, 0.5),
    "hardsigmoid": F.hardsigmoid, "hardswish": F.hardswish, "leakyrelu": lambda x: F.leaky_relu(x, 0.1),
    "logsigmoid": F.logsigmoid, "mish": F.mish, "relu": F.relu, "selu": F.selu, "sigmoid": torch.sigmoid,
    "silu": F.silu, "softplus": lambda x: F.softplus(x, beta=2, threshold=5), "softshrink": lambda x: F.softshrink(x, 0.5),
    "softsign": F.softsign, "tanh": torch.tanh, "tanhshrink": F.tanhshrink, "threshold": lambda x: F.threshold(x, 0.5, -7),
}
finite = {"celu", "gelu tanh", "mish", "hardswish", "silu", "gelu", "softsign", "tanhshrink", "cos", "sin", "tan"}
for name, function in unary.items():
    x = edge[1:-2] if name in finite else edge
    call("unary " + name, function, x)
whole = torch.tensor([-3, 0, 2], dtype=torch.int32)
call("unary not", torch.logical_not, torch.tensor([True, False]))
call("unary whole negate", torch.neg, whole)
call("unary whole exp", torch.exp, whole)
call("unary whole square wraps", torch.square, torch.tensor([100, -3], dtype=torch.int8))
call("prelu", F.prelu, numbers(2, 3, 2), numbers(3))
call("prelu one", F.prelu, numbers(2, 3), numbers(1))
binary = {
    "add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": torch.div, "power": torch.pow,
    "minimum": torch.minimum, "maximum": torch.maximum, "floorDivide": torch.floor_divide, "remainder": torch.remainder,
}
compare = {"equal": torch.eq, "notEqual": torch.ne, "less": torch.lt, "lessOrEqual": torch.le, "greater": torch.gt, "greaterOrEqual": torch.ge}
left, right = torch.tensor([2.5, -2.5, 1, 0, -1, torch.nan, 7]).double(), torch.tensor([1.5, 1.5, -0.75, 2, 3, 1, -2]).double()
for name, function in binary.items():
    call("binary " + name, function, left, right)
    call(f"binary {name} broadcast", function, numbers(2, 1, 3, low=0.25), numbers(5, 1, low=0.25))
    call(f"binary {name} whole", function, torch.tensor([7, -7, 0]), torch.tensor([2, 2, 3], dtype=torch.int32))
call("binary add wraps", torch.add, torch.tensor([250], dtype=torch.uint8), torch.tensor([10], dtype=torch.uint8))
call("binary add scalar", torch.add, torch.tensor([1.5], dtype=torch.float32), torch.tensor(2.0).double())
truth = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
call("binary and", torch.logical_and, *truth)
call("binary or", torch.logical_or, *truth)
call("binary xor", torch.logical_xor, *truth)
for name, function in compare.items():
    call("compare " + name, function, torch.tensor([1.0, 2, 3, torch.nan]).double(), torch.tensor([[2.0], [torch.nan]]).double())
call("select", torch.where, torch.tensor([[True], [False]]), numbers(3), numbers())
call("convert int", lambda x: x.to(torch.int32), torch.tensor([-2.75, -0.5, 0.5, 2.75]).double())
call("convert wraps", lambda x: x.to(torch.int8), torch.tensor([200, -129, 5]))
call("convert bool", lambda x: x.to(torch.bool), torch.tensor([0, -0.5, torch.nan]).double())
call("convert half", lambda x: x.half(), torch.tensor([1.0001, 1e-9, 70000, 2049]).double())
call("convert bfloat16", lambda x: x.bfloat16(), torch.tensor([1.0001, 257]).double())
call("convert float", lambda x: x.float(), torch.tensor([3, -4]))
call("dropout none", lambda x: F.dropout(x, 0.0), numbers(3))
call("dropout all", lambda x: F.dropout(x, 1.0), numbers(3))

# Over axes

reductions = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}
for name, function in reductions.items():
    call("reduce " + name, lambda x: function(x, (0, 2)), numbers(2, 3, 5))
    call(f"reduce {name} keeps", lambda x: function(x, (-1,), True), numbers(2, 3, 5))
call("reduce product", lambda x: torch.prod(x, 1), numbers(2, 3))
call("reduce norm", lambda x: torch.linalg.vector_norm(x, dim=1), numbers(2, 3))
call("reduce max nan", lambda x: torch.amax(x, 0), torch.tensor([1, torch.nan, 2]).double())
call("reduce sum empty", lambda x: torch.sum(x, 1), numbers(2, 0))
call("reduce sum whole", lambda x: torch.sum(x, 0), torch.tensor([200, 100], dtype=torch.uint8))
call("reduce product whole", lambda x: torch.prod(x, 0), torch.tensor([20, 100], dtype=torch.uint8))
ties = torch.tensor([[1.0, 3, 3, 0], [torch.nan, 5, torch.nan, 2]]).double()
call("argmax", lambda x: torch.max(x, 1).indices, ties)
call("argmax keeps", lambda x: torch.argmax(x, 0, keepdim=True), numbers(5, 3))
call("topk", lambda x: torch.topk(x, 3, 1), torch.randperm(30).double().view(2, 5, 3))
call("topk few", lambda x: torch.topk(x, 2), torch.randperm(4).double().view(2, 2))

# Over windows

for rank, kind in itertools.product((1, 2, 3), ("max", "avg")):
    function = getattr(F, f"{kind}_pool{rank}d")
    shape = (2, 2, *(7, 5, 4)[:rank])
    call(f"{kind} pool {rank}", lambda x: function(x, 3, 2, 1), numbers(*shape))
    call(f"{kind} pool {rank} ceil", lambda x: function(x, 2, 2, 1, ceil_mode=True), numbers(*shape))
call("max pool dilation", lambda x: F.max_pool2d(x, (2, 3), 1, (1, 1), (3, 2)), numbers(1, 1, 5, 6))
call("max pool no batch", lambda x: F.max_pool2d(x, 2), numbers(2, 4, 4))
call("max pool nan", lambda x: F.max_pool1d(x, 2), torch.tensor([[[1, torch.nan, 2, 3]]]).double())
call("avg pool without padding", lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), numbers(1, 1, 4, 5))
call("avg pool ceil without padding", lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), numbers(1, 1, 4, 5))
call("avg pool ceil over the edge", lambda x: F.avg_pool2d(x, 3, 3, 1, True), numbers(1, 1, 6, 7))
call("avg pool divisor", lambda x: F.avg_pool2d(x, 2, 2, 1, divisor_override=3), numbers(1, 1, 4, 4))
for rank, kind in itertools.product((1, 2, 3), ("max", "avg")):
    function = getattr(F, f"adaptive_{kind}_pool{rank}d")
    call(f"adaptive {kind} pool {rank}", lambda x: function(x, (3, 2, 1)[:rank]), numbers(1, 2, *(7, 5, 4)[:rank]))
call("adaptive avg pool larger", lambda x: F.adaptive_avg_pool2d(x, (5, None)), numbers(1, 1, 3, 2))
for mode in ("nearest", "nearest-exact"):
    for size in ((6, 10), (5, 13), (2, 3), (1, 1)):
        call(f"resize {mode} {size[0]}x{size[1]}", lambda x: F.interpolate(x, size, mode=mode), numbers(1, 1, 3, 5).float())
    call(f"resize {mode} scale", lambda x: F.interpolate(x, scale_factor=(1.7, 2.3), mode=mode), numbers(1, 1, 7, 5).float())
    call(f"resize {mode} 1d", lambda x: F.interpolate(x, 49, mode=mode), numbers(1, 1, 41).float())
for mode, shape in (("linear", (7,)), ("bilinear", (4, 5)), ("trilinear", (3, 2, 4)), ("bicubic", (4, 5))):
    for aligns in (False, True):
        suffix = " aligned" if aligns else ""
        for length in (1, 3, 9):
            call(f"resize {mode} {length}{suffix}", lambda x: F.interpolate(x, (length,) * len(shape), mode=mode, align_corners=aligns), numbers(1, 2, *shape))
        call(f"resize {mode} scale{suffix}", lambda x: F.interpolate(x, scale_factor=1.7, mode=mode, align_corners=aligns), numbers(1, 1, *shape))
for mode in ("constant", "reflect", "replicate", "circular"):
    call("pad " + mode, lambda x: F.pad(x, (1, 2, 2, 0), mode=mode), numbers(1, 2, 3, 4))
call("pad value", lambda x: F.pad(x, (0, 1), value=-7.5), numbers(2, 2))
call("pad cut", lambda x: F.pad(x, (-1, 2, 1, -2)), numbers(3, 4))
call("pad cut reflect", lambda x: F.pad(x, (-1, 2), mode="reflect"), numbers(1, 1, 5))
call("pad cut replicate", lambda x: F.pad(x, (2, -1), mode="replicate"), numbers(1, 1, 5))
call("pad cut circular", lambda x: F.pad(x, (2, -1), mode="circular"), numbers(1, 1, 5))
# 7 and 6 elements in steps of 2: 4 and 3 windows of 3 need 9 and 7.
ramp = torch.arange(42.0).double()
call("same pad", lambda x: F.pad(x, (0, 1, 1, 1)), ramp.reshape(1, 1, 7, 6))
# 6 windows of 5 in steps of 1, reaching over 9, need 14; 2 windows of 1 in steps of 4 need 5 of 7.
call("same pad dilation", lambda x: F.pad(x, (0, 0, 4, 4), value=-torch.inf), ramp.reshape(1, 6, 7))
call("same pad rows", lambda x: F.pad(x, (1, 2)), ramp.reshape(2, 3, 7))
for aligns in (False, True):
    call(f"grid sample{' aligned' if aligns else ''}", lambda x, g: F.grid_sample(x, g, align_corners=aligns), numbers(2, 2, 3, 4), numbers(2, 2, 5, 2, low=-1.25, high=1.25))

# Arrangement

call("shuffle", lambda x: F.pixel_shuffle(x, 2), numbers(1, 8, 2, 3))
call("unshuffle", lambda x: F.pixel_unshuffle(x, 3), numbers(2, 1, 6, 3))
call("concatenate", lambda a, b, c: torch.cat((a, b, c), 1), numbers(2, 1, 3), numbers(2, 0, 3), numbers(2, 2, 3))
call("concatenate types", lambda a, b: torch.cat((a, b)), torch.tensor([1, 2]), numbers(1))
call("stack", lambda a, b: torch.stack((a, b), -1), numbers(2, 3), numbers(2, 3))
call("split", lambda x: torch.split(x, (1, 0, 4), 1), numbers(2, 5, 2))
call("chunk", lambda x: torch.chunk(x, 3, -1), numbers(2, 7))
call("slice", lambda x: x[:, 1:-1:2], numbers(2, 7))
call("slice all", lambda x: x[-100:100], numbers(3))
call("slice none", lambda x: x[2:1], numbers(3))
call("gather", lambda x, i: x[:, i], numbers(2, 4, 3), torch.tensor([[3, 0], [-1, 1]]))
call("gather batch", lambda x, i: torch.stack([a[b] for a, b in zip(x, i)]), numbers(2, 4, 3), torch.tensor([[3, 0, 0], [1, 1, 2]]))
call("gather last of batch", lambda x, i: torch.stack([a[:, b] for a, b in zip(x, i)]), numbers(2, 2, 4), torch.tensor([[3], [1]]))
call("reshape", lambda x: x.reshape(3, -1), numbers(2, 3, 2))
call("permute", lambda x: x.permute(2, 0, 1), numbers(2, 3, 5))
call("expand", lambda x: x.expand(2, 3, 4), numbers(3, 1))
call("coordinates", lambda x: torch.arange(x.shape[1], dtype=x.dtype), numbers(2, 5))
call("shape", lambda x: torch.tensor(x.shape), numbers(2, 0, 5))
for rank in range(1, 5):
    call(f"softmax implicit {rank}", lambda x: F.softmax(x, None), numbers(*(2, 3, 2, 2)[:rank]))
call("flatten", lambda x: x.flatten(1, 2), numbers(2, 3, 2, 2))

# Sequences, and what came later: numbers of their own, so that those above stay.

torch.manual_seed(1)


def recurrent(name, network, operands, reversed=False):
    """One direction of one layer as torch's own network gives it: all states, the last, and an LSTM's last cell."""
    x, *states = operands
    weights = list(network.double()._flat_weights)[len(network._flat_weights) // 2 if reversed else 0 :]
    with torch.no_grad():
        for weight in network._flat_weights:
            weight.copy_(numbers(*weight.shape))
        given = [torch.stack([state] * (2 if reversed else 1)) for state in states]
        y, last = network(x, tuple(given) if len(given) > 1 else given[0])
    last = last if isinstance(last, tuple) else (last,)
    width = last[0].shape[-1]
    case(name, [x, *states, *(weight.detach() for weight in weights)], [y[..., -width:], *(h[-1] for h in last)])


recurrent("rnn", nn.RNN(3, 4), [numbers(5, 2, 3), numbers(2, 4)])
recurrent("rnn relu without biases", nn.RNN(3, 2, nonlinearity="relu", bias=False), [numbers(3, 1, 3), numbers(1, 2)])
recurrent("gru", nn.GRU(3, 4), [numbers(4, 2, 3), numbers(2, 4)])
recurrent("gru reversed", nn.GRU(2, 3, bidirectional=True), [numbers(4, 2, 2), numbers(2, 3)], reversed=True)
recurrent("lstm", nn.LSTM(3, 4), [numbers(4, 2, 3), numbers(2, 4), numbers(2, 4)])
recurrent("lstm reversed", nn.LSTM(2, 3, bidirectional=True), [numbers(4, 2, 2), numbers(2, 3), numbers(2, 3)], reversed=True)
recurrent("lstm projected", nn.LSTM(3, 4, bias=False, proj_size=2), [numbers(3, 2, 3), numbers(2, 2), numbers(2, 4)])
x, w, b, mean = numbers(3, 2, 4), numbers(2), numbers(2), numbers(2)
variance = numbers(2, low=0.5, high=3)
norm = nn.BatchNorm1d(2, momentum=None).double()
norm.load_state_dict({"weight": w, "bias": b, "running_mean": mean, "running_var": variance, "num_batches_tracked": torch.tensor(4)})
y = norm(x).detach()
case("batchnorm cumulative training", [x, w, b, mean, variance, torch.tensor(4)], [y, norm.running_mean, norm.running_var])
call("reshape axes", lambda x: x.unflatten(1, (2, -1)), numbers(2, 6, 3))
call("reshape axes before", lambda x: x.unflatten(-2, (-1, 1)), numbers(2, 4, 3))
call("reshape axes of another", lambda x, y: x.view_as(y), numbers(4, 6), numbers(2, 2, 3, 2))
