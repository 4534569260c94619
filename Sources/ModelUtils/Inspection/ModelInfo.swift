import ModelCore

/// What a model consists of: YOLOv5's `model_info`.
public struct ModelInfo: Sendable, CustomStringConvertible {
  /// A module of the tree, or a prefix of the names of a bare state dict.
  public struct ModuleRow: Sendable, Codable, Hashable {
    /// The dotted path; empty for the root.
    public let name: String
    /// The class's name; nil where the file does not say it.
    public let type: String?
    /// The elements of its own parameters, its children's not included.
    public let parameters: Int
  }

  /// Distinct modules, root and containers included; in a bare state dict the distinct paths of its names.
  public let layers: Int
  /// The elements of all distinct parameters.
  public let parameters: Int
  /// The elements of those that require gradients; a bare state dict does not say, so there all do.
  public let gradients: Int
  /// The elements of all buffers, such as running statistics.
  public let buffers: Int
  public let modules: [ModuleRow]
  /// Why there are no FLOPs.
  public let gflopsReason = "the order in which the modules run is not known"

  /// The first line of YOLOv5's report: `Model Summary: 214 layers, 1872157 parameters, 1872157 gradients`.
  public var description: String {
    "Model Summary: \(layers) layers, \(parameters) parameters, \(gradients) gradients"
  }
}

extension Module {
  /// Counts layers, parameters, gradients and buffers. Reads no values.
  public func modelInfo() -> ModelInfo {
    var rows: [ModelInfo.ModuleRow] = []
    var (parameters, gradients, buffers) = (0, 0, 0)
    var seen: Set<Tensor.Identity> = []
    forEachModule { path, module in
      let own = module.parameters.values.reduce(0) { $0 + $1.tensor.count }
      rows.append(.init(name: path, type: module.className.name, parameters: own))
      for buffer in module.buffers.values where buffer.count > 0 && seen.insert(buffer.identity).inserted {
        buffers += buffer.count
      }
    }
    forEachParameter { _, parameter in
      parameters += parameter.tensor.count
      if parameter.requiresGrad { gradients += parameter.tensor.count }
    }
    return ModelInfo(layers: rows.count, parameters: parameters, gradients: gradients, buffers: buffers, modules: rows)
  }
}

extension StateDict {
  /// Counts what a bare state dict tells: parameters are its floating entries that are no running statistics.
  public func modelInfo() -> ModelInfo {
    var own: OrderedDictionary<String, Int> = ["": 0]
    var (parameters, buffers) = (0, 0)
    var seen: Set<Tensor.Identity> = []
    for (name, tensor) in tensors {
      // No model nests as deep; hostile names may.
      let parts = name.split(separator: ".", maxSplits: 256, omittingEmptySubsequences: false)
      for depth in parts.indices { own[parts[..<depth].joined(separator: "."), default: 0] += 0 }
      guard tensor.count > 0, seen.insert(tensor.identity).inserted else { continue }
      if Self.isParameter(name, tensor) {
        parameters += tensor.count
        own[parts.dropLast().joined(separator: "."), default: 0] += tensor.count
      } else {
        buffers += tensor.count
      }
    }
    return ModelInfo(
      layers: own.count, parameters: parameters, gradients: parameters, buffers: buffers,
      modules: own.map { .init(name: $0.key, type: nil, parameters: $0.value) })
  }
}

extension ModelInfo: Encodable {
  private enum Key: String, CodingKey {
    case layers, parameters, gradients, buffers, modules, gflops, gflopsReason
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(layers, forKey: .layers)
    try container.encode(parameters, forKey: .parameters)
    try container.encode(gradients, forKey: .gradients)
    try container.encode(buffers, forKey: .buffers)
    try container.encode(modules, forKey: .modules)
    try container.encodeNil(forKey: .gflops)
    try container.encode(gflopsReason, forKey: .gflopsReason)
  }
}

extension Model {
  /// Counts layers, parameters, gradients and buffers. Reads no values.
  public func modelInfo() -> ModelInfo {
    switch self {
    case .module(let module): module.modelInfo()
    case .stateDict(let state): state.modelInfo()
    }
  }
}
