import ModelArchitectures
import ModelCore
import ModelGraph

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
    /// The shape of its output, of the first one where it gives several; nil where it is not known or the module is not
    /// called.
    public var outputShape: [Int]?
    /// Multiplications in its own convolutions and products, its children's not included.
    public var macs: Double?
  }

  /// Distinct modules, root and containers included; in a bare state dict the distinct paths of its names.
  public let layers: Int
  /// The elements of all distinct parameters.
  public let parameters: Int
  /// The elements of those that require gradients; a bare state dict does not say, so there all do.
  public let gradients: Int
  /// The elements of all buffers, such as running statistics.
  public let buffers: Int
  /// Every distinct module, in `named_modules()`'s order, or every prefix of a bare state dict's names.
  public internal(set) var modules: [ModuleRow]
  /// The built-in architecture that a bare state dict was recognised as.
  public internal(set) var architecture: String?
  /// The operations of one pass, in units of 10^9; nil where they are not known.
  public internal(set) var gflops: GFlops?
  /// What the FLOPs leave out.
  public internal(set) var notCounted: [Graph.Omission] = []
  /// The elements of what the model computes for these inputs, all of it and the largest; nil where that is not known.
  public internal(set) var activations: (total: Int, largest: Int)?
  /// Why there are no FLOPs; nil where there are.
  public internal(set) var gflopsReason: String?

  /// The first line of YOLOv5's report with thop's figure.
  public var description: String { summary(.thop) }

  /// The first line of YOLOv5's report: `Model Summary: 214 layers, 1872157 parameters, 1872157 gradients, 4.6 GFLOPs`;
  /// the last part is left out where FLOPs are not known. thop's figure is the extrapolated one where that was asked
  /// for.
  public func summary(_ convention: FlopsConvention) -> String {
    let counts = "Model Summary: \(layers) layers, \(parameters) parameters, \(gradients) gradients"
    guard let gflops else { return counts }
    let figure = convention == .thop ? gflops.extrapolated ?? gflops.thop : gflops[convention]
    return CFormat.string("%s, %.1f %s", counts, figure, convention == .macs ? "GMACs" : "GFLOPs")
  }
}

extension Module {
  /// Counts layers, parameters, gradients and buffers, and FLOPs for one picture of a size. Reads no values.
  /// - Parameters:
  ///   - imageSize: height and width in pixels.
  ///   - stride: where it is given, thop's figure is measured at a square of this size too, and multiplied by the ratio
  ///     of the areas. That overcounts layers whose cost does not depend on the picture.
  public func modelInfo(imageSize: (height: Int, width: Int) = (640, 640), extrapolatingFrom stride: Int? = nil)
    -> ModelInfo
  {
    var info = counts()
    let area = Double(imageSize.height) * Double(imageSize.width)
    do {
      info.add(try flops(ofPicture: imageSize.height, imageSize.width), of: self)
      if let stride {
        let part = try flops(ofPicture: stride, stride).gflops.thop
        info.gflops?.extrapolated = part * area / (Double(stride) * Double(stride))
      }
    } catch {
      info.gflops = nil
      info.gflopsReason = "\(error)"
    }
    return info
  }

  /// Counts layers, parameters, gradients and buffers, and FLOPs for inputs of any shape, such as [1, 3, 16, 112, 112]
  /// for a film. Reads no values.
  public func modelInfo(inputShapes: [[Int]]) -> ModelInfo {
    var info = counts()
    do { info.add(try flops(of: inputShapes), of: self) } catch {
      info.gflops = nil
      info.gflopsReason = "\(error)"
    }
    return info
  }

  /// For a picture of the channels that the first layer takes, or of three where a model rearranges its pictures before
  /// that.
  package func flops(ofPicture height: Int, _ width: Int) throws -> FlopsReport {
    let channels = inputChannels
    do { return try flops(of: [[1, channels, height, width]]) } catch {
      guard channels != 3, let report = try? flops(of: [[1, 3, height, width]]) else { throw error }
      return report
    }
  }

  /// The channels that the first layer takes: the second axis of the first parameter; 3 where that is no weight of a
  /// convolution.
  package var inputChannels: Int {
    firstParameter.flatMap { $0.tensor.shape.count == 4 ? $0.tensor.shape[1] : nil } ?? 3
  }

  /// What needs no forward.
  package func counts() -> ModelInfo {
    var rows: [ModelInfo.ModuleRow] = []
    var (parameters, gradients, buffers) = (0, 0, 0)
    var parametersSeen: Set<Identity> = []
    var buffersSeen: Set<Tensor.Identity> = []
    forEachModule { path, module in
      var own = 0
      for parameter in module.parameters.values {
        let count = parameter.tensor.count
        own += count
        guard parametersSeen.insert(parameter.identity).inserted else { continue }
        parameters += count
        if parameter.requiresGrad { gradients += count }
      }
      rows.append(.init(name: path, type: module.className.name, parameters: own))
      for buffer in module.buffers.values where buffer.count > 0 && buffersSeen.insert(buffer.identity).inserted {
        buffers += buffer.count
      }
    }
    return ModelInfo(layers: rows.count, parameters: parameters, gradients: gradients, buffers: buffers, modules: rows)
  }
}

extension StateDict {
  /// Counts as for a module where the state dict is that of a built-in architecture. Otherwise what the names tell:
  /// parameters are the floating entries that are no running statistics, and there are no FLOPs.
  public func modelInfo(imageSize: (height: Int, width: Int) = (640, 640), extrapolatingFrom stride: Int? = nil)
    -> ModelInfo
  {
    guard let known = withMasksApplied.recognized() else { return counts() }
    var info = known.module.modelInfo(imageSize: imageSize, extrapolatingFrom: stride)
    info.architecture = known.architecture.name
    return info
  }

  /// The same for inputs of any shape.
  public func modelInfo(inputShapes: [[Int]]) -> ModelInfo {
    guard let known = withMasksApplied.recognized() else { return counts() }
    var info = known.module.modelInfo(inputShapes: inputShapes)
    info.architecture = known.architecture.name
    return info
  }

  private var withMasksApplied: StateDict {
    var plain = self
    _ = try? plain.applyMasks()
    return plain
  }

  private func counts() -> ModelInfo {
    var own: OrderedDictionary<String, Int> = ["": 0]
    var (parameters, buffers) = (0, 0)
    var seen: Set<Tensor.Identity> = []
    let averages = hookAverages
    for (name, tensor) in tensors {
      // No model nests as deep; hostile names may.
      let parts = name.split(separator: ".", maxSplits: 256, omittingEmptySubsequences: false)
      for depth in parts.indices { own[parts[..<depth].joined(separator: "."), default: 0] += 0 }
      guard tensor.count > 0, seen.insert(tensor.identity).inserted else { continue }
      if isParameter(name), !averages.contains(name) {
        parameters += tensor.count
        own[parts.dropLast().joined(separator: "."), default: 0] += tensor.count
      } else {
        buffers += tensor.count
      }
    }
    return ModelInfo(
      layers: own.count, parameters: parameters, gradients: parameters, buffers: buffers,
      modules: own.map { .init(name: $0.key, type: nil, parameters: $0.value) },
      gflopsReason: "a bare state dict does not say in which order its layers run")
  }
}

extension ModelInfo {
  /// Adds FLOPs, and to every row the shape and the multiplications of all calls of its module.
  fileprivate mutating func add(_ report: FlopsReport, of root: Module) {
    gflops = report.gflops
    notCounted = report.graph.omissions
    let sizes = report.graph.nodes.flatMap(\.results).map { report.shapes[$0.index].reduce(1, *) }
    activations = (sizes.reduce(0, +), sizes.max() ?? 0)
    var shapes: [Identity: [Int]] = [:]
    for scope in report.graph.scopes {
      guard let module = scope.module else { continue }
      shapes[module] = scope.outputs.first.map { report.shapes[$0.index] }
    }
    // A module that stands in two places has one row.
    var macs: [Identity: Double] = [:]
    for (node, count) in zip(report.graph.nodes, report.macs) where count > 0 {
      if let module = report.graph.scopes[node.scope].module { macs[module, default: 0] += count }
    }
    var index = 0
    root.visitModules { module in
      modules[index].outputShape = shapes[module.identity]
      modules[index].macs = macs[module.identity, default: 0]
      index += 1
    }
  }
}

extension ModelInfo: Encodable {
  private enum Key: String, CodingKey {
    case layers, parameters, gradients, buffers, modules, architecture, gflops, gflopsReason, notCounted
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    try container.encode(layers, forKey: .layers)
    try container.encode(parameters, forKey: .parameters)
    try container.encode(gradients, forKey: .gradients)
    try container.encode(buffers, forKey: .buffers)
    try container.encode(modules, forKey: .modules)
    try container.encodeIfPresent(architecture, forKey: .architecture)
    try container.encode(gflops, forKey: .gflops)
    try container.encodeIfPresent(gflopsReason, forKey: .gflopsReason)
    if !notCounted.isEmpty { try container.encode(notCounted, forKey: .notCounted) }
  }
}

extension Model {
  /// Counts layers, parameters, gradients and buffers, and a module's FLOPs. Reads no values.
  /// - Parameters: as those of a module.
  public func modelInfo(imageSize: (height: Int, width: Int) = (640, 640), extrapolatingFrom stride: Int? = nil)
    -> ModelInfo
  {
    switch self {
    case .module(let module): module.modelInfo(imageSize: imageSize, extrapolatingFrom: stride)
    case .stateDict(let state): state.modelInfo(imageSize: imageSize, extrapolatingFrom: stride)
    }
  }

  /// Counts layers, parameters, gradients and buffers, and a module's FLOPs for inputs of any shape.
  public func modelInfo(inputShapes: [[Int]]) -> ModelInfo {
    switch self {
    case .module(let module): module.modelInfo(inputShapes: inputShapes)
    case .stateDict(let state): state.modelInfo(inputShapes: inputShapes)
    }
  }
}
