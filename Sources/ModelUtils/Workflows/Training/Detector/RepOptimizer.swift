import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelRandom

/// YOLOv6's `RepVGGOptimizer`: a plain convolution learns as branches with fixed scales would, which a run of the network
/// with these branches (`hyper_search`) has found. Its first values are the branches' sum, and its gradients are
/// multiplied by what the branches' would add up to.
struct RepOptimizer {
  /// A block's scales, one for each output channel.
  private struct Scales {
    let identity: [Float]?, point: [Float], dense: [Float]
  }

  private let scales: [Scales]
  private let file: String

  /// - Throws: `ModelError` for a file that holds no searched network.
  init(contentsOf file: String) throws {
    guard case .module(let module) = try Checkpoint(contentsOf: file).preferred else {
      throw ModelError(.unsupported, "holds no whole module, of which scales could be taken", file: file)
    }
    self.file = file
    scales = try Self.blocks(of: module, "LinearAddBlock").compactMap { path in
      guard let block = module[path] else { return nil }
      func weight(_ name: String) throws -> [Float]? {
        try block.children[name]?.parameters["weight"]?.tensor.converted(to: .float32).floats()
      }
      guard let point = try weight("scale_1x1"), let dense = try weight("scale_conv") else {
        throw ModelError(.malformed, "has no scales", file: file, subject: path)
      }
      return Scales(identity: try weight("scale_identity"), point: point, dense: dense)
    }
    guard !scales.isEmpty else {
      throw ModelError(
        .missing, "has no blocks with scales", file: file, advice: "give the best.pt of a yolov6…_hs (--scales)")
    }
  }

  /// Whether a network learns so.
  static func isFor(_ module: Module) -> Bool { !blocks(of: module, "RealVGGBlock").isEmpty }

  private static func blocks(of module: Module, _ name: String) -> [String] {
    var paths: [String] = []
    module.forEachModule { path, child in if child.className.name == name { paths.append(path) } }
    return paths
  }

  /// The weights of a network's blocks, with their scales.
  private func weights(of module: Module) throws -> [(path: String, weight: Tensor, scales: Scales)] {
    let paths = Self.blocks(of: module, "RealVGGBlock")
    guard paths.count == scales.count else {
      throw ModelError(
        .mismatch, "has scales of \(scales.count) blocks, where the network has \(paths.count)", file: file)
    }
    return try zip(paths, scales).map { path, scales in
      guard let weight = module[path]?.children["conv"]?.parameters["weight"]?.tensor, weight.shape.count == 4,
        weight.shape.suffix(2) == [3, 3], scales.dense.count == weight.shape[0], scales.point.count == weight.shape[0],
        scales.identity.map({ $0.count == weight.shape[0] && weight.shape[0] == weight.shape[1] }) ?? true
      else {
        throw ModelError(
          .mismatch, "has scales for blocks of other channels", file: file, subject: path,
          advice: "give the scales of a network of the same size")
      }
      return (path + ".conv.weight", weight, scales)
    }
  }

  /// Gives a network's blocks the sum of their branches as first values; the 1x1 branches are drawn.
  /// - Throws: `ModelError` for scales of another network.
  func initialize(_ module: inout Module, using generator: inout TorchGenerator) throws {
    var tensors: [String: Tensor] = [:]
    for (path, weight, scales) in try weights(of: module) {
      let (outputs, inputs) = (weight.shape[0], weight.shape[1])
      let point =
        try Module.drawnConvolution(inputs, outputs, using: &generator)
        .parameters["weight"]?.tensor.floats() ?? []
      var values = try weight.floats()
      for output in 0..<outputs {
        for input in 0..<inputs {
          let place = (output * inputs + input) * 9
          for tap in 0..<9 { values[place + tap] *= scales.dense[output] }
          values[place + 4] += point[output * inputs + input] * scales.point[output]
          if output == input, let identity = scales.identity { values[place + 4] += identity[output] }
        }
      }
      tensors[path] = try Tensor(values, weight.shape)
    }
    module.setTensors { tensors[$0] }
  }

  /// What the gradients of each block's weight are multiplied by.
  /// - Throws: `ModelError` for scales of another network.
  func masks(for module: Module) throws -> [String: [Float]] {
    var masks: [String: [Float]] = [:]
    for (path, weight, scales) in try weights(of: module) {
      let (outputs, inputs) = (weight.shape[0], weight.shape[1])
      var mask = [Float](repeating: 0, count: weight.count)
      for output in 0..<outputs {
        for input in 0..<inputs {
          let place = (output * inputs + input) * 9
          for tap in 0..<9 { mask[place + tap] = scales.dense[output] * scales.dense[output] }
          mask[place + 4] += scales.point[output] * scales.point[output]
          if output == input, scales.identity != nil { mask[place + 4] += 1 }
        }
      }
      masks[path] = mask
    }
    return masks
  }
}
