import ModelCore

@testable import ModelGraph

private func convolution(
  _ stride: [Int], _ padding: [Margin]? = nil, dilation: [Int]? = nil, groups: Int = 1,
  adding outputPadding: [Int]? = nil,
  isTransposed: Bool = false
) -> Operation {
  .convolution(
    ConvolutionGeometry(
      stride: stride, padding: padding ?? stride.map { _ in Margin(0) }, dilation: dilation ?? stride.map { _ in 1 },
      groups: groups, isTransposed: isTransposed, outputPadding: outputPadding))
}

/// The operations of the cases of Goldens/operations.txt.
extension ReferenceTests {
  static let products: [String: Operation] = [
    "conv1d": convolution([2], [Margin(2)], dilation: [3]),
    "conv2d": convolution([1, 1]),
    "conv2d groups": convolution([2, 1], [Margin(1), Margin(2)], groups: 2),
    "conv2d depthwise": convolution([1, 1], [Margin(1), Margin(1)], groups: 3),
    "conv2d asymmetric": convolution([2, 2], [Margin(1, 2), Margin(0, 3)]),
    "conv2d long rows": convolution([1, 1]),
    "conv3d": convolution([1, 2, 1], [Margin(1), Margin(0), Margin(1)], dilation: [1, 1, 2]),
    "conv2d empty batch": convolution([1, 1]),
    "transposed1d": convolution([3], [Margin(1)], dilation: [2], adding: [2], isTransposed: true),
    "transposed2d": convolution([2, 2], [Margin(1), Margin(0)], groups: 2, adding: [1, 1], isTransposed: true),
    "transposed3d": convolution([1, 2, 1], isTransposed: true),
    "linear": .linear, "linear vector": .linear, "linear without features": .linear,
    "matmul": .matrixProduct, "matmul broadcast": .matrixProduct, "matmul whole numbers": .matrixProduct,
    "einsum bnqc,bkc->bqnk": .einsum("bnqc,bkc->bqnk"),
    "einsum ii,j->i": .einsum("ii,j->i"),
    "einsum ab,ab->": .einsum("ab,ab->"),
    "attention": .attention(scale: nil), "attention scale": .attention(scale: 0.25),
    "attention mask": .attention(scale: nil), "attention bool mask": .attention(scale: nil),
    "rnn": .recurrence(Recurrence(.rnnTanh)),
    "rnn relu without biases": .recurrence(Recurrence(.rnnReLU, hasBias: false)),
    "gru": .recurrence(Recurrence(.gru)), "gru reversed": .recurrence(Recurrence(.gru, isReversed: true)),
    "lstm": .recurrence(Recurrence(.lstm)), "lstm reversed": .recurrence(Recurrence(.lstm, isReversed: true)),
    "lstm projected": .recurrence(Recurrence(.lstm, hasBias: false, isProjected: true)),
  ]

  static let norms: [String: Operation] = [
    "batchnorm": .batchNorm(.inference, eps: 1e-3),
    "batchnorm training": .batchNorm(.training(momentum: 0.1), eps: 1e-3),
    "batchnorm1d": .batchNorm(.inference, eps: 1e-3),
    "batchnorm1d training": .batchNorm(.training(momentum: 0.1), eps: 1e-3),
    "batchnorm momentum": .batchNorm(.inference, eps: 1e-3),
    "batchnorm momentum training": .batchNorm(.training(momentum: 0.75), eps: 1e-3),
    "batchnorm cumulative training": .batchNorm(.training(momentum: nil), eps: 1e-5),
    "layernorm": .layerNorm(axes: 1, eps: 1e-6), "layernorm axes": .layerNorm(axes: 2, eps: 1e-5),
    "rmsnorm": .rmsNorm(axes: 1, eps: 1e-4), "rmsnorm eps": .rmsNorm(axes: 1, eps: nil),
    "groupnorm": .groupNorm(groups: 3, eps: 1e-4), "instancenorm": .groupNorm(groups: 2, eps: 1e-5),
    "softmax 0": .softmax(axis: 0, isLogarithm: false), "logsoftmax 0": .softmax(axis: 0, isLogarithm: true),
    "softmax 1": .softmax(axis: 1, isLogarithm: false), "logsoftmax 1": .softmax(axis: 1, isLogarithm: true),
    "softmax -1": .softmax(axis: -1, isLogarithm: false), "logsoftmax -1": .softmax(axis: -1, isLogarithm: true),
    "softmax implicit 1": .softmax(axis: nil, isLogarithm: false),
    "softmax implicit 2": .softmax(axis: nil, isLogarithm: false),
    "softmax implicit 3": .softmax(axis: nil, isLogarithm: false),
    "softmax implicit 4": .softmax(axis: nil, isLogarithm: false),
    "softmax scalar": .softmax(axis: 0, isLogarithm: false), "softmax masked": .softmax(axis: -1, isLogarithm: false),
  ]

  static let elements: [String: Operation] = {
    var operations: [String: Operation] = [
      "prelu": .prelu, "prelu one": .prelu, "select": .select,
      "binary add wraps": .binary(.add), "binary add scalar": .binary(.add),
      "binary and": .binary(.and), "binary or": .binary(.or), "binary xor": .binary(.xor),
      "convert int": .convert(.int32), "convert wraps": .convert(.int8), "convert bool": .convert(.bool),
      "convert half": .convert(.float16), "convert bfloat16": .convert(.bfloat16), "convert float": .convert(.float32),
      "dropout none": .dropout(Dropout(probability: 0)), "dropout all": .dropout(Dropout(probability: 1)),
    ]
    let unary: [String: Unary] = [
      "abs": .abs, "ceil": .ceil, "cos": .cos, "erf": .erf, "exp": .exp, "floor": .floor, "log": .log,
      "negate": .negate, "not": .not, "reciprocal": .reciprocal, "round": .round, "rsqrt": .rsqrt, "sign": .sign,
      "sin": .sin, "sqrt": .sqrt, "square": .square, "tan": .tan, "clip": .clip(minimum: -1.25, maximum: 2),
      "clip below": .clip(minimum: 0.5, maximum: nil), "clip above": .clip(minimum: nil, maximum: 0.5),
      "celu": .celu(alpha: 0.75), "elu": .elu(alpha: 1.5), "gelu": .gelu(isApproximate: false),
      "gelu tanh": .gelu(isApproximate: true), "hardshrink": .hardshrink(lambda: 0.5), "hardsigmoid": .hardsigmoid,
      "hardswish": .hardswish, "leakyrelu": .leakyReLU(slope: 0.1), "logsigmoid": .logSigmoid, "mish": .mish,
      "relu": .relu, "selu": .selu, "sigmoid": .sigmoid, "silu": .silu, "softplus": .softplus(beta: 2, threshold: 5),
      "softshrink": .softshrink(lambda: 0.5), "softsign": .softsign, "tanh": .tanh, "tanhshrink": .tanhshrink,
      "threshold": .threshold(0.5, value: -7), "whole negate": .negate, "whole exp": .exp,
      "whole square wraps": .square,
    ]
    for (name, function) in unary { operations["unary \(name)"] = .unary(function) }
    for function: Binary in [
      .add, .subtract, .multiply, .divide, .power, .minimum, .maximum, .floorDivide, .remainder,
    ] {
      for suffix in ["", " broadcast", " whole"] {
        operations["binary \(function.rawValue)\(suffix)"] = .binary(function)
      }
    }
    for comparison: Comparison in [.equal, .notEqual, .less, .lessOrEqual, .greater, .greaterOrEqual] {
      operations["compare \(comparison.rawValue)"] = .compare(comparison)
    }
    return operations
  }()

  static let axes: [String: Operation] = {
    var operations: [String: Operation] = [
      "reduce product": .reduce(.product, axes: [1], keepsAxes: false),
      "reduce norm": .reduce(.norm, axes: [1], keepsAxes: false),
      "reduce max nan": .reduce(.max, axes: [0], keepsAxes: false),
      "reduce sum empty": .reduce(.sum, axes: [1], keepsAxes: false),
      "reduce sum whole": .reduce(.sum, axes: [0], keepsAxes: false),
      "reduce product whole": .reduce(.product, axes: [0], keepsAxes: false),
      "argmax": .argmax(axis: 1, keepsAxis: false), "argmax keeps": .argmax(axis: 0, keepsAxis: true),
      "topk": .topK(axis: 1, count: 3), "topk few": .topK(axis: -1, count: 2),
    ]
    for reduction: Reduction in [.sum, .mean, .max, .min] {
      operations["reduce \(reduction.rawValue)"] = .reduce(reduction, axes: [0, 2], keepsAxes: false)
      operations["reduce \(reduction.rawValue) keeps"] = .reduce(reduction, axes: [-1], keepsAxes: true)
    }
    return operations
  }()

  static let arrangements: [String: Operation] = [
    "shuffle": .pixelShuffle(PixelShuffle(factor: 2)),
    "unshuffle": .pixelShuffle(PixelShuffle(factor: 3, isInverse: true)),
    "concatenate": .concatenate(axis: 1), "concatenate types": .concatenate(axis: 0), "stack": .stack(axis: -1),
    "split": .split(axis: 1, .sizes([1, 0, 4])), "chunk": .split(axis: -1, .equal(3)),
    "slice": .slice(axis: 1, start: 1, end: -1, step: 2), "slice all": .slice(axis: 0, start: -100, end: 100, step: 1),
    "slice none": .slice(axis: 0, start: 2, end: 1, step: 1),
    "gather": .gather(axis: 1, batchAxes: 0), "gather batch": .gather(axis: 1, batchAxes: 1),
    "gather last of batch": .gather(axis: 2, batchAxes: 1),
    "flatten": .flatten(Flatten(start: 1, end: 2)),
    "reshape": .reshape([.fixed(3), .inferred]),
    "reshape axes": .reshape(
      [.axes(operand: 0, from: 0, to: 1), .fixed(2), .inferred, .axes(operand: 0, from: 2)]),
    "reshape axes before": .reshape(
      [.axes(operand: 0, from: 0, to: -2), .inferred, .fixed(1), .axes(operand: 0, from: -1)]),
    "reshape axes of another": .reshape([.axes(operand: 1, from: 0)]), "permute": .permute([2, 0, 1]),
    "expand": .expand([.fixed(2), .fixed(3), .fixed(4)]), "coordinates": .coordinates(axis: 1), "shape": .shape,
  ]
}
