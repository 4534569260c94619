import ModelCore

/// The layers of `torch.nn` beyond those of classifiers: from their attributes, and back to them.
enum FurtherLayers {
  static func layer(of module: Module) -> Layer? {
    let attributes = module.attributes
    func int(_ name: String) -> Int? { attributes[name]?.intValue }
    func bool(_ name: String) -> Bool? { attributes[name]?.boolValue }
    switch module.className.name {
    case "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d":
      guard let rank = rank(module), let features = int("num_features"), let eps = attributes["eps"]?.doubleValue
      else { return nil }
      return .instanceNorm(
        InstanceNorm(
          rank: rank, features: features, eps: eps, momentum: attributes["momentum"]?.doubleValue,
          isAffine: bool("affine") ?? false, tracksRunningStatistics: bool("track_running_stats") ?? false))
    case "RMSNorm":
      guard let shape = attributes["normalized_shape"]?.intsValue, let eps = attributes["eps"],
        eps == .none || eps.doubleValue != nil, let isAffine = bool("elementwise_affine")
      else { return nil }
      return .rmsNorm(RMSNorm(normalizedShape: shape, eps: eps.doubleValue, isAffine: isAffine))
    case "LocalResponseNorm":
      guard let size = int("size"), let alpha = attributes["alpha"]?.doubleValue,
        let beta = attributes["beta"]?.doubleValue, let k = attributes["k"]?.doubleValue
      else { return nil }
      return .localResponseNorm(LocalResponseNorm(size: size, alpha: alpha, beta: beta, k: k))
    case "GLU": return int("dim").map { .glu(axis: $0) }
    case "RNN", "LSTM", "GRU": return recurrent(module).map { .recurrent($0) }
    case "RNNCell", "LSTMCell", "GRUCell": return recurrentCell(module).map { .recurrentCell($0) }
    case "LPPool1d", "LPPool2d", "LPPool3d":
      guard let rank = rank(module), let norm = attributes["norm_type"]?.doubleValue,
        let kernel = sizes(attributes["kernel_size"], rank)
      else { return nil }
      let stride = attributes["stride"]
      guard stride == nil || stride == Attribute.none || sizes(stride, rank) != nil else { return nil }
      return .powerPool(
        PowerPool(
          norm: norm, kernelSize: kernel, stride: sizes(stride, rank), ceilMode: bool("ceil_mode") ?? false))
    case "Unflatten":
      guard let axis = int("dim"), let sizes = attributes["unflattened_size"]?.intsValue else { return nil }
      return .unflatten(Unflatten(axis: axis, sizes: sizes))
    case "ChannelShuffle": return int("groups").map { .channelShuffle(groups: $0) }
    case "Unfold": return unfold(module, outputSize: nil)
    case "Fold": return sizes(attributes["output_size"], 2).flatMap { unfold(module, outputSize: $0) }
    case "Embedding": return embedding(module, mode: nil)
    case "EmbeddingBag":
      guard let mode = attributes["mode"]?.stringValue.flatMap(Embedding.Mode.init),
        bool("include_last_offset") != true,
        attributes["padding_idx"] ?? Attribute.none == Attribute.none
      else { return nil }
      return embedding(module, mode: mode)
    case "Bilinear":
      guard let first = int("in1_features"), let second = int("in2_features"), let outputs = int("out_features")
      else { return nil }
      return .bilinear(Bilinear(firstFeatures: first, secondFeatures: second, outFeatures: outputs))
    default: return nil
    }
  }

  /// A FrozenBatchNorm2d of torchvision, Detectron or DETR: four buffers, and an eps that not every release keeps as an
  /// attribute.
  static func frozenBatchNorm(_ module: Module) -> Layer? {
    guard module.className.name == "FrozenBatchNorm2d", module.parameters.isEmpty, module.children.isEmpty,
      let features = module.buffers["weight"]?.count,
      Set(module.buffers.keys).subtracting(["num_batches_tracked"])
        == ["weight", "bias", "running_mean", "running_var"]
    else { return nil }
    let path = module.className.description
    let eps: Double
    if let attribute = module.attributes["eps"] {
      guard let value = attribute.doubleValue else { return nil }
      eps = value
    } else if path == "torchvision.ops.misc.FrozenBatchNorm2d" || path.hasPrefix("maskrcnn_benchmark.") {
      eps = 0
    } else if module.className.hasSuffix("models.backbone.FrozenBatchNorm2d") {
      eps = 1e-5
    } else {
      return nil
    }
    return .batchNorm(BatchNorm(rank: 2, features: features, eps: eps, momentum: nil, isFrozen: true))
  }

  // MARK: Parts

  private static func rank(_ module: Module) -> Int? {
    ["1d": 1, "2d": 2, "3d": 3][String(module.className.name.suffix(2))]
  }

  private static func sizes(_ attribute: Attribute?, _ rank: Int) -> [Int]? {
    if let value = attribute?.intValue { return [Int](repeating: value, count: rank) }
    return attribute?.intsValue.flatMap { $0.count == rank ? $0 : nil }
  }

  private static func recurrent(_ module: Module) -> Recurrent? {
    let attributes = module.attributes
    guard let kind = attributes["mode"]?.stringValue.flatMap(Recurrent.Kind.init),
      let inputs = attributes["input_size"]?.intValue, let hidden = attributes["hidden_size"]?.intValue,
      let layers = attributes["num_layers"]?.intValue, let hasBias = attributes["bias"]?.boolValue,
      let isBatchFirst = attributes["batch_first"]?.boolValue, let dropout = attributes["dropout"]?.doubleValue,
      let isBidirectional = attributes["bidirectional"]?.boolValue
    else { return nil }
    // Projections came with 1.8.
    return Recurrent(
      kind, inputSize: inputs, hiddenSize: hidden, layers: layers, hasBias: hasBias, isBatchFirst: isBatchFirst,
      dropout: dropout, isBidirectional: isBidirectional, projectionSize: attributes["proj_size"]?.intValue ?? 0)
  }

  private static func recurrentCell(_ module: Module) -> RecurrentCell? {
    let attributes = module.attributes
    let kind: Recurrent.Kind
    switch (module.className.name, attributes["nonlinearity"]?.stringValue) {
    case ("RNNCell", "tanh"): kind = .rnnTanh
    case ("RNNCell", "relu"): kind = .rnnReLU
    case ("LSTMCell", _): kind = .lstm
    case ("GRUCell", _): kind = .gru
    default: return nil
    }
    guard let inputs = attributes["input_size"]?.intValue, let hidden = attributes["hidden_size"]?.intValue,
      let hasBias = attributes["bias"]?.boolValue
    else { return nil }
    return RecurrentCell(kind, inputSize: inputs, hiddenSize: hidden, hasBias: hasBias)
  }

  private static func unfold(_ module: Module, outputSize: [Int]?) -> Layer? {
    let attributes = module.attributes
    guard let kernel = sizes(attributes["kernel_size"], 2), let dilation = sizes(attributes["dilation"], 2),
      let padding = sizes(attributes["padding"], 2), let stride = sizes(attributes["stride"], 2)
    else { return nil }
    return .unfold(
      Unfold(kernelSize: kernel, dilation: dilation, padding: padding, stride: stride, outputSize: outputSize))
  }

  /// A norm that is limited changes the weight whenever it runs.
  private static func embedding(_ module: Module, mode: Embedding.Mode?) -> Layer? {
    guard let count = module.attributes["num_embeddings"]?.intValue,
      let features = module.attributes["embedding_dim"]?.intValue,
      module.attributes["max_norm"] ?? Attribute.none == Attribute.none
    else { return nil }
    return .embedding(Embedding(count: count, features: features, mode: mode))
  }
}

// MARK: Back to attributes

extension FurtherLayers {
  static func attributes(of norm: InstanceNorm) -> OrderedDictionary<String, Attribute> {
    [
      "num_features": .int(norm.features), "eps": .double(norm.eps),
      "momentum": norm.momentum.map { .double($0) } ?? .none, "affine": .bool(norm.isAffine),
      "track_running_stats": .bool(norm.tracksRunningStatistics),
    ]
  }

  static func attributes(of norm: RMSNorm) -> OrderedDictionary<String, Attribute> {
    [
      "normalized_shape": ints(norm.normalizedShape), "eps": norm.eps.map { .double($0) } ?? .none,
      "elementwise_affine": .bool(norm.isAffine),
    ]
  }

  static func attributes(of norm: LocalResponseNorm) -> OrderedDictionary<String, Attribute> {
    ["size": .int(norm.size), "alpha": .double(norm.alpha), "beta": .double(norm.beta), "k": .double(norm.k)]
  }

  static func attributes(of layer: Recurrent) -> OrderedDictionary<String, Attribute> {
    let names = layer.suffixes.map { layer.weightNames($0).map { Attribute.string($0) } }
    return [
      "mode": .string(layer.kind.rawValue), "input_size": .int(layer.inputSize), "hidden_size": .int(layer.hiddenSize),
      "num_layers": .int(layer.layers), "bias": .bool(layer.hasBias), "batch_first": .bool(layer.isBatchFirst),
      "dropout": .double(layer.dropout), "bidirectional": .bool(layer.isBidirectional),
      "proj_size": .int(layer.projectionSize), "_flat_weights_names": .list(names.flatMap { $0 }),
      "_all_weights": .list(names.map { .list($0) }),
    ]
  }

  static func attributes(of cell: RecurrentCell) -> OrderedDictionary<String, Attribute> {
    var table: OrderedDictionary<String, Attribute> = [
      "input_size": .int(cell.inputSize), "hidden_size": .int(cell.hiddenSize), "bias": .bool(cell.hasBias),
    ]
    switch cell.kind {
    case .rnnTanh: table["nonlinearity"] = .string("tanh")
    case .rnnReLU: table["nonlinearity"] = .string("relu")
    case .lstm, .gru: break
    }
    return table
  }

  static func attributes(of pool: PowerPool) -> OrderedDictionary<String, Attribute> {
    [
      "norm_type": .double(pool.norm), "kernel_size": ints(pool.kernelSize), "stride": ints(pool.stride),
      "ceil_mode": .bool(pool.ceilMode),
    ]
  }

  static func attributes(of unfold: Unfold) -> OrderedDictionary<String, Attribute> {
    var table: OrderedDictionary<String, Attribute> = [:]
    if let size = unfold.outputSize { table["output_size"] = ints(size) }
    table["kernel_size"] = ints(unfold.kernelSize)
    table["dilation"] = ints(unfold.dilation)
    table["padding"] = ints(unfold.padding)
    table["stride"] = ints(unfold.stride)
    return table
  }

  static func attributes(of embedding: Embedding) -> OrderedDictionary<String, Attribute> {
    var table: OrderedDictionary<String, Attribute> = [
      "num_embeddings": .int(embedding.count), "embedding_dim": .int(embedding.features),
    ]
    if let mode = embedding.mode { table["mode"] = .string(mode.rawValue) }
    return table
  }

  static func attributes(of layer: Bilinear) -> OrderedDictionary<String, Attribute> {
    [
      "in1_features": .int(layer.firstFeatures), "in2_features": .int(layer.secondFeatures),
      "out_features": .int(layer.outFeatures),
    ]
  }

  private static func ints(_ values: [Int]) -> Attribute { .tuple(values.map { .int($0) }) }
}
