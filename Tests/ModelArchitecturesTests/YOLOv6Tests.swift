import ModelArchitectures
import ModelCore
import ModelGraph
import ModelRandom
import Testing

/// Against `yolov6.tsv`, which `make_yolov6.py` beside it wrote with YOLOv6's own code, and what release 0.4 publishes.
@Suite struct YOLOv6Tests {
  struct Golden: Sendable, CustomTestStringConvertible {
    let name: String
    let classes: Int
    let hasAnchorBranch: Bool
    let entries: Int
    let parameters: Int
    let values: String

    var testDescription: String { "\(name), \(classes) classes" }

    static let all: [Golden] = goldenRows("yolov6.tsv").map { parts in
      let numbers = parts[1...4].map { Int($0) ?? -1 }
      return Golden(
        name: parts[0], classes: numbers[0], hasAnchorBranch: numbers[1] == 1, entries: numbers[2],
        parameters: numbers[3], values: parts[5])
    }
  }

  private func count(_ module: Module) -> Int {
    var count = 0
    module.forEachParameter { count += $1.tensor.count }
    return count
  }

  @Test(arguments: Golden.all) func valuesOfSeed0(_ golden: Golden) throws {
    let module = try Architecture(named: golden.name, hasAnchorBranch: golden.hasAnchorBranch)
      .module(classes: golden.classes)
    let state = module.stateDict()
    #expect(state.tensors.count == golden.entries && count(module) == golden.parameters)
    #expect(try Checksum.values(state) == golden.values)
  }

  @Test func thereAreGoldens() { #expect(Golden.all.count == 25) }

  /// What release 0.4 has, and its generator's next number.
  @Test(arguments: [
    ("yolov6n", 80, false, 0.6100326776504517), ("yolov6n", 6, false, 0.5858516097068787),
    ("yolov6n", 80, true, 0.7328559756278992), ("yolov6s", 80, false, 0.675243616104126),
    ("yolov6m", 80, false, 0.5892302393913269), ("yolov6l", 80, false, 0.8102156519889832),
  ])
  func theGeneratorGoesOn(_ name: String, _ classes: Int, _ hasAnchorBranch: Bool, _ next: Double) throws {
    var generator = TorchGenerator(seed: 0)
    _ = try Architecture(named: name, hasAnchorBranch: hasAnchorBranch).module(classes: classes, using: &generator)
    #expect(try Double(generator.uniform([1], from: 0, to: 1).floats()[0]) == next)
  }

  @Test(arguments: [
    ("yolov6l", 59_638_731, 915), ("yolov6n_base", 4_667_022, 396), ("yolov6s_mbla", 11_622_034, 662),
    ("yolov6lite_s", 557_942, 820), ("yolov6lite_m", 791_381, 820), ("yolov6lite_l", 1_098_789, 820),
  ])
  func sizes(_ name: String, _ parameters: Int, _ entries: Int) throws {
    let module = try Architecture(named: name).module()
    #expect(count(module) == parameters && module.stateDict().tensors.count == entries)
  }

  /// Release 0.4's names: convolutions stand in a `block`, the scales of bottlenecks are parameters.
  @Test func names() throws {
    let names = Set(try Architecture(named: "yolov6m").module().stateDict().names)
    for name in [
      "backbone.stem.rbr_dense.conv.weight", "backbone.ERBlock_5.2.sppf.cv1.block.conv.weight",
      "neck.reduce_layer0.block.bn.running_mean", "neck.Bifusion0.upsample.upsample_transpose.bias",
      "neck.Rep_p4.m.block.0.alpha", "detect.stems.0.block.conv.weight", "detect.proj", "detect.proj_conv.weight",
      "detect.cls_preds.2.bias",
    ] { #expect(names.contains(name), "\(name)") }
  }

  /// What no one trains: the numbers that a distribution is summed by.
  @Test func untrained() throws {
    let module = try Architecture(named: "yolov6n").module()
    var untrained: [String] = []
    module.forEachParameter { path, parameter in if !parameter.requiresGrad { untrained.append(path) } }
    #expect(untrained == ["detect.proj", "detect.proj_conv.weight"])
    #expect(try module.stateDict()["detect.proj"]?.floats() == (0...16).map(Float.init))
  }

  @Test(arguments: Architecture.names.filter { $0.hasPrefix("yolov6") })
  func computes(_ name: String) throws {
    let size = name.contains("6_") || !name.hasSuffix("6") ? 64 : 128
    var module = try Architecture(named: name).module(classes: 2)
    let input = TensorType(.float32, [2, 3, size, size])
    let training = try Graph(module, inputs: [input], mode: .training)
    #expect(try training.types(of: [input])[training.outputs[0]].shape[0] == 2)
    module.updateModules { $1.isTraining = false }
    let graph = try Graph(module, inputs: [input])
    let shape = try graph.types(of: [input])[graph.outputs[0]].shape
    #expect(shape.count == 3 && shape[0] == 2 && shape[2] == 7)
  }

  @Test func anchorBranchIsOfTraining() throws {
    let module = try Architecture(named: "yolov6n", hasAnchorBranch: true).module(classes: 2)
    let input = TensorType(.float32, [1, 3, 64, 64])
    let graph = try Graph(module, inputs: [input], mode: .training)
    let types = try graph.types(of: [input])
    #expect(
      graph.outputs.prefix(7).map { types[$0].shape } == [
        [1, 32, 8, 8], [1, 64, 4, 4], [1, 128, 2, 2], [1, 252, 2], [1, 252, 4], [1, 84, 2], [1, 84, 4],
      ])
    for name in ["yolov6n6", "yolov6lite_s", "resnet18"] {
      #expect(throws: ModelError.self) { try Architecture(named: name, hasAnchorBranch: true) }
    }
  }
}
