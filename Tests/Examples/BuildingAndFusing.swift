import ModelUtils
import Testing

@Suite struct BuildingAndFusing {
  @Test func byHand() throws {
    var generator = TorchGenerator(seed: 0)
    var net = try Module.sequential(named: [
      "conv": .conv2d(3, 16, kernelSize: 3, padding: 1, bias: false, using: &generator),
      "bn": .batchNorm2d(16),
      "act": .silu(),
      "pool": .adaptiveAvgPool2d(1),
      "flat": .flatten(),
      "head": .linear(16, 10, using: &generator),
    ])
    try net.validate()

    let report = try net.fuse()
    print(report)
    for refusal in report.refused { print(refusal.bn, refusal.reason) }
    #expect(report.fused.map(\.conv) == ["conv"])
    #expect(report.refused.isEmpty)
    #expect(net["bn"]?.layer == .identity)
  }

  @Test func ofTensors() throws {
    let (weight, ones) = (try Tensor([1, 2, 3, 4], [2, 2, 1, 1]), try Tensor([1, 1]))
    let (mean, variance) = (ones, ones)

    let conv = try Module.conv2d(weight: weight, stride: 2)
    let norm = try Module.batchNorm2d(weight: ones, bias: ones, runningMean: mean, runningVar: variance, eps: 1e-3)
    let fused = try fuseConvAndBN(conv, norm)
    #expect(fused.parameters.keys == ["weight", "bias"])

    let statistics = BatchNormTensors(weight: ones, bias: ones, runningMean: mean, runningVar: variance, eps: 1e-3)
    let pair = try fuseConvAndBN(weight: weight, normalization: statistics)
    #expect(pair.bias.shape == [2])
    #expect(try pair.weight.isEqual(to: fused.stateDict()["weight"] ?? ones))
  }

  @Test func ofAnyClass() throws {
    var generator = TorchGenerator(seed: 0)
    let stem = try Module.conv2d(3, 8, kernelSize: 3, using: &generator)
    let block = Module(ClassName("mynet.blocks", "Stem"), children: ["conv": stem, "bn": try .batchNorm2d(8)])

    var model = block
    let report = try model.fuse([PairPattern("conv=bn")])
    #expect(report.isOrderGiven)
    #expect(report.fused.count == 1)
  }

  @Test func byName() throws {
    let architecture = try Architecture(named: "resnet18")
    let resnet = try architecture.module(classes: 10, seed: 0)
    #expect(resnet.parameterCount == 11_181_642)
    #expect(Architecture.names.contains("yolov5s"))
  }

  @Test func byDescription() throws {
    let text = """
      family: yolov6
      classes: 6
      depth: 0.33
      width: 0.25
      mode: conv_silu
      stage: bepc3
      """
    let described = try Architecture(yaml: FileBytes(name: "my-yolov6.yaml", copying: Array(text.utf8)))
    let detector = try described.module(seed: 0)
    #expect(detector["detect.cls_preds.0"]?.parameters["bias"]?.tensor.shape == [6])
  }
}
