import ModelCore
import ModelGraph

/// What a function in a traced network's code is given, a method's tensor first.
struct TracedArguments {
  let positional: [TracedForward.Item]
  let named: [String: TracedForward.Item]
  private let forward: TracedForward

  init(_ forward: TracedForward, _ positional: [TracedForward.Item], _ named: [String: TracedForward.Item]) {
    (self.forward, self.positional, self.named) = (forward, positional, named)
  }

  func behind(_ first: TracedForward.Item) -> TracedArguments { .init(forward, [first] + positional, named) }

  /// By position or by name; nil where it is None or not given.
  func item(_ index: Int, _ name: String) -> TracedForward.Item? {
    let item = index < positional.count ? positional[index] : named[name]
    if case .some(.none) = item { return nil }
    return item
  }

  func tensor(_ index: Int = 0, _ name: String = "input") throws -> ForwardCall.Value {
    guard let item = item(index, name) else { throw forward.refusal("leaves out '\(name)'") }
    return try forward.tensor(item, "'\(name)'")
  }

  func optionalTensor(_ index: Int, _ name: String) throws -> ForwardCall.Value? {
    try item(index, name).map { try forward.tensor($0, "'\(name)'") }
  }

  func int(_ index: Int, _ name: String) throws -> Int? { try item(index, name).flatMap { try forward.int($0) } }

  func double(_ index: Int, _ name: String) throws -> Double? {
    guard let item = item(index, name) else { return nil }
    guard let value = forward.number(item) else { throw forward.refusal("gives no number for '\(name)'") }
    return value
  }

  func bool(_ index: Int, _ name: String) throws -> Bool {
    guard let item = item(index, name) else { return false }
    guard case .bool(let value) = item else { throw forward.refusal("gives neither True nor False for '\(name)'") }
    return value
  }

  func string(_ index: Int, _ name: String) throws -> String? {
    guard let item = item(index, name) else { return nil }
    guard case .string(let text) = item else { throw forward.refusal("gives no text for '\(name)'") }
    return text
  }

  /// A list, or one number as a list of one; None within it is nil.
  func ints(_ index: Int, _ name: String) throws -> [Int?]? {
    guard let item = item(index, name) else { return nil }
    guard case .list(let items) = item else { return [try forward.int(item)] }
    return try items.map { try forward.int($0) }
  }

  /// A list, or the numbers from `index` on, as methods take sizes.
  func sizes(_ index: Int, _ name: String) throws -> [Int] {
    let items: [TracedForward.Item]
    if case .list(let list)? = item(index, name) { items = list } else { items = Array(positional.dropFirst(index)) }
    return try items.map { item in
      guard let size = try forward.int(item) else { throw forward.refusal("gives None for '\(name)'") }
      return size
    }
  }
}

/// The functions and methods of tensors that are known.
extension TracedForward {
  func function(_ name: String, _ given: TracedArguments) throws -> Item {
    // In place is the same on symbolic tensors: the code goes on with what the function gives.
    let plain = name.hasSuffix("_") && name.count > 1 ? String(name.dropLast()) : name
    if let unary = Self.unaries[plain], given.positional.count == 1 {
      return .tensor(try net.unary(unary, given.tensor()))
    }
    if let sign = Self.operators[plain], given.positional.count == 2 {
      guard given.named["alpha"] == nil, given.named["rounding_mode"] == nil else {
        throw refusal("calls \(name) with an option that is not known")
      }
      return try binary(sign, given.positional[0], given.positional[1])
    }
    if let item = try sizes(plain, given) { return item }
    if let value = try element(plain, given) ?? arrangement(plain, given) ?? window(plain, given)
      ?? product(plain, given)
    {
      return .tensor(value)
    }
    throw refusal("calls \(name), which is not known")
  }

  private static let unaries: [String: Unary] = [
    "abs": .abs, "ceil": .ceil, "cos": .cos, "erf": .erf, "exp": .exp, "floor": .floor, "hardsigmoid": .hardsigmoid,
    "hardswish": .hardswish, "log": .log, "logsigmoid": .logSigmoid, "mish": .mish, "neg": .negate,
    "reciprocal": .reciprocal, "relu": .relu, "relu6": .clip(minimum: 0, maximum: 6), "round": .round, "rsqrt": .rsqrt,
    "selu": .selu, "sigmoid": .sigmoid, "sign": .sign, "silu": .silu, "sin": .sin, "softsign": .softsign,
    "sqrt": .sqrt, "square": .square, "tan": .tan, "tanh": .tanh, "tanhshrink": .tanhshrink,
  ]

  private static let operators: [String: String] = [
    "add": "+", "iadd": "+", "sub": "-", "subtract": "-", "isub": "-", "mul": "*", "multiply": "*", "imul": "*",
    "div": "/", "divide": "/", "true_divide": "/", "truediv": "/", "floordiv": "//", "floor_divide": "//", "pow": "**",
    "matmul": "@", "bmm": "@", "mm": "@", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "mod": "%", "remainder": "%",
  ]

  /// What gives numbers or several tensors.
  private func sizes(_ name: String, _ given: TracedArguments) throws -> Item? {
    switch name {
    case "_assert": return Item.none
    case "getitem" where given.positional.count == 2:
      return try element(of: given.positional[0], at: given.positional[1])
    case "size":
      let shape = Item.list(try net.shape(of: given.tensor()).map { .int($0) })
      return try given.item(1, "dim").map { try element(of: shape, at: $0) } ?? shape
    case "dim", "ndim": return .int(try net.shape(of: given.tensor()).count)
    case "numel": return .int(try net.shape(of: given.tensor()).reduce(1, &*))
    case "chunk":
      let parts = try net.chunks(given.tensor(), given.int(1, "chunks") ?? 0, axis: given.int(2, "dim") ?? 0)
      return .list(parts.map { .tensor($0) })
    case "split":
      let (value, axis) = (try given.tensor(), try given.int(2, "dim") ?? 0)
      var sizes = try given.ints(1, "split_size_or_sections")?.compactMap { $0 } ?? []
      if case .int(let size)? = given.item(1, "split_size_or_sections") {
        let length = try self.length(of: value, axis: axis)
        guard size > 0, length / size < 1024 else { throw refusal("splits \(length) by \(size)") }
        sizes = stride(from: 0, to: length, by: size).map { min(size, length - $0) }
      }
      return .list(try net.split(value, sizes, axis: axis).map { .tensor($0) })
    case "unbind":
      let (value, axis) = (try given.tensor(), try given.int(1, "dim") ?? 0)
      let length = try self.length(of: value, axis: axis)
      guard length <= 1024 else { throw refusal("takes \(length) parts") }
      return .list(
        try net.split(value, [Int](repeating: 1, count: length), axis: axis).map {
          .tensor(try squeezed($0, axis: axis))
        })
    default: return nil
    }
  }

  private func length(of value: ForwardCall.Value, axis: Int) throws -> Int {
    let shape = try net.shape(of: value)
    let axis = axis < 0 ? axis + shape.count : axis
    guard shape.indices.contains(axis) else { throw refusal("takes axis \(axis) of \(shape.count)") }
    return shape[axis]
  }

  // MARK: Element by element, and over axes

  private func element(_ name: String, _ given: TracedArguments) throws -> ForwardCall.Value? {
    switch name {
    case "hardtanh":
      return try net.unary(
        .clip(minimum: given.double(1, "min_val") ?? -1, maximum: given.double(2, "max_val") ?? 1), given.tensor())
    case "clamp", "clip":
      return try net.unary(.clip(minimum: given.double(1, "min"), maximum: given.double(2, "max")), given.tensor())
    case "leaky_relu":
      return try net.unary(.leakyReLU(slope: given.double(1, "negative_slope") ?? 0.01), given.tensor())
    case "elu": return try net.unary(.elu(alpha: given.double(1, "alpha") ?? 1), given.tensor())
    case "gelu":
      return try net.unary(.gelu(isApproximate: given.string(1, "approximate") == "tanh"), given.tensor())
    case "softplus":
      return try net.unary(
        .softplus(beta: given.double(1, "beta") ?? 1, threshold: given.double(2, "threshold") ?? 20), given.tensor())
    case "relu", "hardswish", "silu", "relu6", "hardsigmoid", "mish", "selu":
      // With `inplace` by position.
      return try Self.unaries[name].map { try net.unary($0, given.tensor()) }
    case "softmax", "log_softmax":
      return try net.emit(.softmax(axis: given.int(1, "dim"), isLogarithm: name == "log_softmax"), given.tensor())
    case "mean", "sum", "amax", "amin":
      let kinds: [String: Reduction] = ["mean": .mean, "sum": .sum, "amax": .max, "amin": .min]
      guard let kind = kinds[name] else { return nil }
      let axes = try given.ints(1, "dim")?.compactMap { $0 } ?? Array(try net.shape(of: given.tensor()).indices)
      return try net.emit(.reduce(kind, axes: axes, keepsAxes: given.bool(2, "keepdim")), given.tensor())
    case "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "stochastic_depth":
      let isStochasticDepth = name == "stochastic_depth"
      guard try !given.bool(isStochasticDepth ? 3 : 2, "training") else { throw refusal("calls \(name) for training") }
      return try given.tensor()
    case "normalize":
      guard try given.double(1, "p") ?? 2 == 2 else { return nil }
      return try net.normalize(
        given.tensor(), axis: given.int(2, "dim") ?? 1, eps: given.double(3, "eps") ?? 1e-12)
    case "to", "type":
      guard case .dtype(let dtype)? = given.item(1, "dtype") else { return nil }
      return try net.convert(given.tensor(), dtype)
    case "float": return try net.convert(given.tensor(), .float32)
    case "half": return try net.convert(given.tensor(), .float16)
    case "contiguous", "clone", "detach": return try given.tensor()
    default: return nil
    }
  }

  // MARK: Arrangement

  private func arrangement(_ name: String, _ given: TracedArguments) throws -> ForwardCall.Value? {
    switch name {
    case "flatten":
      return try net.flatten(
        given.tensor(), start: given.int(1, "start_dim") ?? 0, end: given.int(2, "end_dim") ?? -1)
    case "cat", "concat", "concatenate", "stack":
      guard case .list(let items)? = given.item(0, "tensors") else { return nil }
      let (values, axis) = (try items.map { try tensor($0, "a part") }, try given.int(1, "dim") ?? 0)
      return name == "stack" ? try net.stack(values, axis: axis) : try net.concatenate(values, axis: axis)
    case "reshape", "view":
      return try net.reshape(
        given.tensor(), given.sizes(1, name == "view" ? "size" : "shape").map { $0 == -1 ? .inferred : .fixed($0) })
    case "permute": return try net.permute(given.tensor(), given.sizes(1, "dims"))
    case "transpose", "swapaxes", "swapdims", "t":
      let value = try given.tensor()
      var axes = Array(try net.shape(of: value).indices)
      let (a, b) = (try given.int(1, "dim0") ?? 0, try given.int(2, "dim1") ?? 1)
      let (first, second) = (a < 0 ? a + axes.count : a, b < 0 ? b + axes.count : b)
      guard axes.indices.contains(first), axes.indices.contains(second) else {
        throw refusal("swaps axes \(a) and \(b) of \(axes.count)")
      }
      axes.swapAt(first, second)
      return try net.permute(value, axes)
    case "unsqueeze": return try net.stack([given.tensor()], axis: given.int(1, "dim") ?? 0)
    case "squeeze":
      let value = try given.tensor()
      guard let axes = try given.ints(1, "dim")?.compactMap({ $0 }) else {
        return try net.reshape(value, net.shape(of: value).filter { $0 != 1 }.map { .fixed($0) })
      }
      guard axes.count == 1 else { return nil }
      return try squeezed(value, axis: axes[0])
    case "expand":
      let value = try given.tensor()
      let (shape, sizes) = (try net.shape(of: value), try given.sizes(1, "size"))
      let added = sizes.count - shape.count
      guard added >= 0 else { throw refusal("expands \(shape) to \(sizes)") }
      return try net.expand(value, sizes.enumerated().map { .fixed($1 == -1 && $0 >= added ? shape[$0 - added] : $1) })
    case "pad":
      let value = try given.tensor()
      let (rank, amounts) = (try net.shape(of: value).count, try given.sizes(1, "pad"))
      guard amounts.count % 2 == 0, amounts.count / 2 <= rank else { throw refusal("pads \(rank) axes by \(amounts)") }
      var margins = [Margin](repeating: Margin(0), count: rank)
      for index in 0..<amounts.count / 2 {
        margins[rank - 1 - index] = Margin(amounts[2 * index], amounts[2 * index + 1])
      }
      let modes: [String: PadMode] = [
        "constant": .constant(try given.double(3, "value") ?? 0), "reflect": .reflect, "replicate": .replicate,
        "circular": .circular,
      ]
      guard let mode = modes[try given.string(2, "mode") ?? "constant"] else { return nil }
      return try net.emit(.pad(margins, mode), value)
    case "pixel_shuffle":
      return try given.int(1, "upscale_factor").map {
        try net.emit(.pixelShuffle(PixelShuffle(factor: $0)), given.tensor())
      }
    default: return nil
    }
  }

  // MARK: Windows

  private func window(_ name: String, _ given: TracedArguments) throws -> ForwardCall.Value? {
    guard name == "interpolate" || name.hasPrefix("upsample") else { return try pool(name, given) }
    let modes: [String: Resize.Mode] = [
      "nearest": .nearest, "nearest-exact": .nearestExact, "linear": .linear, "bilinear": .linear, "trilinear": .linear,
      "bicubic": .cubic,
    ]
    guard name == "interpolate" || name == "upsample", let mode = modes[try given.string(3, "mode") ?? "nearest"],
      try !given.bool(6, "antialias")
    else { return nil }
    let value = try given.tensor()
    let rank = try net.shape(of: value).count - 2
    func each<T>(_ values: [T]) -> [T] { values.count == 1 ? Array(repeating: values[0], count: max(rank, 1)) : values }
    let target: Resize.Target
    if let size = try given.ints(1, "size")?.compactMap({ $0 }) {
      target = .size(each(size))
    } else if case .list(let items)? = given.item(2, "scale_factor") {
      target = .scale(items.compactMap { number($0) })
    } else if let scale = try given.double(2, "scale_factor") {
      target = .scale(each([scale]))
    } else {
      return nil
    }
    return try net.emit(.resize(Resize(target, mode: mode, alignsCorners: given.bool(4, "align_corners"))), value)
  }

  private func pool(_ name: String, _ given: TracedArguments) throws -> ForwardCall.Value? {
    guard let rank = name.dropLast().last.flatMap({ $0.wholeNumberValue }), (1...3).contains(rank), name.last == "d"
    else { return nil }
    func each(_ sizes: [Int?]) -> [Int?] { sizes.count == 1 ? Array(repeating: sizes[0], count: rank) : sizes }
    func whole(_ index: Int, _ name: String) throws -> [Int]? {
      try given.ints(index, name).map { each($0).compactMap { $0 } }
    }
    let kind: Pool.Kind = name.contains("max") ? .max : .average
    switch name.dropLast(2) {
    case "adaptive_avg_pool", "adaptive_max_pool":
      guard let size = try given.ints(1, "output_size"), try !given.bool(2, "return_indices") else { return nil }
      return try net.emit(.adaptivePool(AdaptivePool(kind, outputSize: each(size))), given.tensor())
    case "max_pool":
      guard let kernel = try whole(1, "kernel_size"), try !given.bool(6, "return_indices") else { return nil }
      return try net.emit(
        .pool(
          Pool(
            .max, kernelSize: kernel, stride: whole(2, "stride"), padding: whole(3, "padding"),
            dilation: whole(4, "dilation"), ceilMode: given.bool(5, "ceil_mode"))), given.tensor())
    case "avg_pool":
      guard let kernel = try whole(1, "kernel_size") else { return nil }
      return try net.emit(
        .pool(
          Pool(
            .average, kernelSize: kernel, stride: whole(2, "stride"), padding: whole(3, "padding"),
            ceilMode: given.bool(4, "ceil_mode"),
            countsPadding: given.item(5, "count_include_pad") == nil || given.bool(5, "count_include_pad"),
            divisor: given.int(6, "divisor_override"))), given.tensor())
    case "conv": return try convolution(given, each)
    default: return nil
    }
  }

  private func convolution(_ given: TracedArguments, _ each: ([Int?]) -> [Int?]) throws -> ForwardCall.Value? {
    func whole(_ index: Int, _ name: String, _ standard: Int) throws -> [Int] {
      each(try given.ints(index, name) ?? [standard]).compactMap { $0 }
    }
    if case .string(let padding)? = given.item(4, "padding"), padding != "valid" { return nil }
    let isUnpadded = if case .string? = given.item(4, "padding") { true } else { false }
    let padding = isUnpadded ? each([0]).compactMap { $0 } : try whole(4, "padding", 0)
    let geometry = ConvolutionGeometry(
      stride: try whole(3, "stride", 1), padding: padding.map { Margin($0) },
      dilation: try whole(5, "dilation", 1), groups: try given.int(6, "groups") ?? 1)
    let operands = [try given.tensor(), try given.tensor(1, "weight"), try given.optionalTensor(2, "bias")]
    return try net.emit(.convolution(geometry), operands.compactMap { $0 })
  }

  // MARK: Products and norms

  private func product(_ name: String, _ given: TracedArguments) throws -> ForwardCall.Value? {
    switch name {
    case "linear":
      return try net.emit(
        .linear,
        [given.tensor(), given.tensor(1, "weight"), given.optionalTensor(2, "bias")].compactMap { $0 })
    case "einsum":
      guard let equation = try given.string(0, "equation") else { return nil }
      return try net.emit(.einsum(equation), given.positional.dropFirst().map { try tensor($0, "a factor") })
    case "scaled_dot_product_attention":
      guard try given.double(4, "dropout_p") ?? 0 == 0, try !given.bool(5, "is_causal") else { return nil }
      let operands = [
        try given.tensor(0, "query"), try given.tensor(1, "key"), try given.tensor(2, "value"),
        try given.optionalTensor(3, "attn_mask"),
      ]
      return try net.emit(.attention(scale: given.double(6, "scale")), operands.compactMap { $0 })
    case "layer_norm":
      let operands = [try given.tensor(), try given.optionalTensor(2, "weight"), try given.optionalTensor(3, "bias")]
      return try net.emit(
        .layerNorm(axes: given.sizes(1, "normalized_shape").count, eps: given.double(4, "eps") ?? 1e-5),
        operands.compactMap { $0 })
    case "batch_norm":
      guard try !given.bool(5, "training"), let mean = try given.optionalTensor(1, "running_mean"),
        let variance = try given.optionalTensor(2, "running_var"), let weight = try given.optionalTensor(3, "weight"),
        let bias = try given.optionalTensor(4, "bias")
      else { return nil }
      return try net.emit(
        .batchNorm(.inference, eps: given.double(7, "eps") ?? 1e-5), given.tensor(), weight, bias, mean, variance)
    default: return nil
    }
  }
}
