import ModelGraph

extension Graph.Node {
  /// The operands whose elements go into the results; others are asked for their sizes alone.
  var elementOperands: [Graph.Value] {
    switch operation {
    case .reshape, .expand, .resize, .split: Array(operands.prefix(1))
    case .coordinates, .shape: []
    default: operands
    }
  }
}

extension ModelGraph.Operation {
  /// What it is, in a word or two for people.
  var label: String {
    switch self {
    case .convolution(let geometry): geometry.isTransposed ? "transposed convolution" : "convolution"
    case .linear: "linear"
    case .matrixProduct, .einsum: "product"
    case .attention: "attention"
    case .recurrence: "recurrence"
    case .batchNorm, .layerNorm, .rmsNorm, .groupNorm: "normalize"
    case .softmax: "softmax"
    case .unary(let function): String("\(function)".prefix { $0 != "(" }).lowercased()
    case .prelu: "prelu"
    case .binary(let function): function.rawValue
    case .compare: "compare"
    case .select: "select"
    case .convert(let dtype): dtype.rawValue
    case .dropout: "dropout"
    case .reduce(let reduction, _, _): "\(reduction)"
    case .argmax: "argmax"
    case .topK: "top k"
    case .pool, .adaptivePool: "pool"
    case .resize: "resize"
    case .pad, .samePad: "pad"
    case .gridSample: "sample"
    case .pixelShuffle: "pixel shuffle"
    case .concatenate: "concatenate"
    case .stack: "stack"
    case .split: "split"
    case .slice: "slice"
    case .gather: "gather"
    case .scatter: "scatter"
    case .reshape: "reshape"
    case .flatten: "flatten"
    case .permute: "permute"
    case .expand: "expand"
    case .coordinates: "coordinates"
    case .shape: "shape"
    case .gradient: "gradient"
    case .other(let name): name
    }
  }
}
