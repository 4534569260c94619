import ModelUtils

/// Opens a checkpoint or builds YOLOv5n, fuses and prunes its models, and says what became of them.
@main
enum Consumer {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    var checkpoint =
      try arguments.first.map { try Checkpoint(contentsOf: $0) }
      ?? Checkpoint(Architecture(named: "yolov5n").module(), name: "yolov5n")
    print(checkpoint.preferred.modelInfo())

    try checkpoint.updateModels { key, model in
      print(key, try model.fuse())
      print(key, try model.prune(amount: 0.3))
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

    // A network built by hand, validated, and computed by its graph.
    var generator = TorchGenerator(seed: 0)
    let net = try Module.sequential([
      .conv2d(3, 4, kernelSize: 3, padding: 1, bias: false, using: &generator), .batchNorm2d(4), .relu(),
      .adaptiveAvgPool2d(1), .flatten(), .linear(4, 2, using: &generator),
    ])
    try net.validate()
    let picture = try Tensor((0..<48).map { Float($0) / 48 }, [1, 3, 4, 4])
    let outputs = try Graph(net).reference([picture])
    guard outputs[0].shape == [1, 2], try net.compareOutputs(with: net.fused(), inputs: [picture]).holds else {
      throw ModelError(.mismatch, "fusing changed what the network computes")
    }
    print(outputs[0])

    // The checkpoint's own model, by the engine.
    if let module = checkpoint.preferred.module {
      let input = try generator.uniform([1, 3, 64, 96])
      let plan = try Plan(
        module.evaluationGraph(for: [TensorType(.float32, [1, 3, 64, 96])]),
        for: [TensorType(.float32, [1, 3, 64, 96])])
      print("the model gives", try Session(plan).run([input]).map(\.shape))
    }

    // Pictures by any kind of path, in one call.
    if let photo = arguments.dropFirst().first {
      print(try imageBatch(contentsOf: [photo], size: [320, 320]).tensor[0, 0, ..<2, ..<4])
    }
    print("done")
  }
}
