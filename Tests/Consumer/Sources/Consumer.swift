import ModelUtils

/// Opens a checkpoint or builds YOLOv5n, fuses and prunes its models, and says what became of them.
@main
enum Consumer {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    var checkpoint =
      try arguments.first.map { try Checkpoint(contentsOf: .init($0)) }
      ?? Checkpoint(Architecture(named: "yolov5n").module(), name: "yolov5n")
    print(checkpoint.preferred.modelInfo())

    try checkpoint.updateModels { key, model in
      guard case .module(var module) = model else { return }
      print(key, try module.fuse())
      print(key, try module.prune(amount: 0.3))
      model = .module(module)
    }
    let sparsity = try checkpoint.preferred.sparsity().sparsity
    guard sparsity > 0.25, sparsity < 0.31 else { throw ModelError(.invalid, "the sparsity is \(sparsity)") }

    // One pair of a caller's own tensors.
    let one = try Tensor([1, 1])
    let statistics = BatchNormTensors(
      weight: try Tensor([2, 3]), bias: one, runningMean: one, runningVar: try Tensor([4, 9]), eps: 0)
    let fused = try fuseConvAndBN(weight: try Tensor([10, 20, 30, 40], [2, 2, 1, 1]), normalization: statistics)
    guard try fused.weight.floats() == [10, 20, 30, 40], try fused.bias.floats() == [0, 0] else {
      throw ModelError(.invalid, "the fused layer is wrong")
    }
    print("done")
  }
}
