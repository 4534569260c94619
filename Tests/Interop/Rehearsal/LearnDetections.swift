import ModelArchitectures
import ModelAutograd
import ModelCore
import ModelDetection
import ModelGraph

/// Steps of a YOLOv6's training, whose loss stands outside the graph.
extension Learning {
  func detectionInDouble(_ loss: YOLOv6Loss, _ batch: Batch, _ weights: StateDict) throws -> Found {
    let types = [TensorType(batch.input.dtype, batch.input.shape)]
    var forward = try Graph(module, inputs: types, mode: .training)
    forward.outputs = loss.chosen(from: forward.outputs)
    forward.take(weights)
    let cost = try loss(forward.reference([batch.input]), of: batch)
    let training = try forward.gradientsOfOutputs(for: types)
    let found = try training.reference([batch.input] + cost.gradients, with: weights)
    return Found(loss: cost.total, statistics: found.statistics, gradients: found.gradients)
  }

  static func packed(_ tensors: StateDict) -> Attribute {
    .dict(tensors.tensors.map { Attribute.Entry(key: .string($0.key), value: .tensor(.init($0.value))) })
  }
}

extension YOLOv6Loss {
  /// A loss of `classes=<n>`, `overlap=<form>`, `bins=<n>` and `fuse_ab=1`.
  init(arguments: [String]) throws {
    var options: [String: String] = [:]
    for argument in arguments {
      let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw ModelError(.invalid, "\(argument) is no key=value") }
      options[parts[0]] = parts[1]
    }
    guard let overlap = BoxOverlap.Form(rawValue: options["overlap"] ?? "giou") else {
      throw ModelError(.invalid, "\(options["overlap"] ?? "") is no overlap")
    }
    try self.init(
      classes: options["classes"].flatMap { Int($0) } ?? 80, bins: options["bins"].flatMap { Int($0) },
      overlap: overlap, fusesAnchors: options["fuse_ab"] == "1")
  }

  /// Those of a network's outputs in training that it takes, which stand behind the levels' features.
  func chosen(from outputs: [Graph.Value]) -> [Graph.Value] {
    Array(outputs.dropFirst(strides.count).prefix(fusesAnchors ? 4 : 2))
  }

  /// The loss of a batch's pictures, in an epoch without ATSS.
  func callAsFunction(_ outputs: [Tensor], of batch: Learning.Batch) throws -> DetectionLoss {
    try self(
      outputs, DetectionTargets(batch.wanted), height: batch.input.shape[2], width: batch.input.shape[3], epoch: 0)
  }
}
