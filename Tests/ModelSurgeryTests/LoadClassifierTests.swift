import Foundation
import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelRandom
import ModelSurgery
import SystemPackage
import Testing

@Suite struct LoadClassifierTests {
  private func written(_ state: StateDict) throws -> FilePath {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("mutils-test-\(UUID().uuidString).pt")
    try state.writeTorch(to: FilePath(url.path))
    return FilePath(url.path)
  }

  private func remove(_ path: FilePath) { try? FileManager.default.removeItem(atPath: path.string) }

  private func bytes(_ tensor: Tensor?) throws -> [UInt8]? { try tensor?.withContiguousBytes { Array($0) } }

  private func failure(_ body: () throws -> Void) -> String {
    do { try body() } catch { return "\(error)" }
    return ""
  }

  /// Every family: the path of the last layer, how many numbers it gets, and that it is of zeros.
  @Test(arguments: [
    ("alexnet", "classifier.6", 4096), ("convnext_tiny", "classifier.2", 768), ("densenet121", "classifier", 1024),
    ("efficientnet_b0", "classifier.1", 1280), ("googlenet", "fc", 1024), ("mnasnet0_5", "classifier.1", 1280),
    ("mobilenet_v2", "classifier.1", 1280), ("mobilenet_v3_small", "classifier.3", 1024), ("regnet_y_400mf", "fc", 440),
    ("resnet18", "fc", 512), ("shufflenet_v2_x0_5", "fc", 1024), ("squeezenet1_1", "classifier.1", 512),
    ("vgg11_bn", "classifier.6", 4096),
  ])
  func heads(name: String, head: String, features: Int) throws {
    var module = try Architecture(named: name).module()
    #expect(module.classifierHead == head)
    let old = module.stateDict()
    try module.replaceClassifier(classes: 7)
    let state = module.stateDict()
    #expect(state.names == old.names)
    let weight = try #require(state["\(head).weight"])
    #expect(weight.shape == [7, features] + old["\(head).weight"]!.shape.dropFirst(2))
    #expect(state["\(head).bias"]?.shape == [7])
    #expect(
      try bytes(weight)?.allSatisfy { $0 == 0 } == true
        && (try bytes(state["\(head).bias"])) == [UInt8](repeating: 0, count: 28))
    for (name, tensor) in old.tensors where !name.hasPrefix("\(head).") { #expect(state[name]?.shape == tensor.shape) }
    #expect(module[head]?.parameters["weight"]?.requiresGrad == true)
    switch module[head]?.layer {
    case .linear(let linear): #expect(linear.outFeatures == 7)
    case .convolution(let convolution): #expect(convolution.outChannels == 7)
    default: Issue.record("the last layer is of no known kind")
    }
  }

  @Test func everyClassifierHasAHead() throws {
    for name in Architecture.names {
      let module = try Architecture(named: name).module()
      guard module.className.description.hasPrefix("torchvision.models.") else { continue }
      let head = try #require(module.classifierHead, "\(name)")
      let ten = try Architecture(named: name).module(classes: 10)
      // The last layer alone grows with the classes, and auxiliary ones.
      let grown = module.stateDict().tensors.filter { ten.stateDict()[$0.key]?.shape != $0.value.shape }.keys
      let others = grown.filter { !$0.hasPrefix("\(head).") }
      #expect(
        grown.contains("\(head).weight") && others.allSatisfy { $0.lowercased().hasPrefix("aux") }, "\(name)")
    }
  }

  /// What is frozen stays so.
  @Test func gradientsStay() throws {
    var module = try Architecture(named: "squeezenet1_1").module()
    module.updateModules { _, module in
      for index in module.parameters.values.indices { module.parameters.values[index].requiresGrad = false }
    }
    try module.replaceClassifier(classes: 2)
    #expect(module["classifier.1"]?.parameters.values.allSatisfy { !$0.requiresGrad } == true)
    #expect(module.attributes["num_classes"] == .int(2))
  }

  /// A file for another number of classes, in a wrapper, without the counts of its batch norms, in half precision.
  @Test func file() throws {
    var tensors: OrderedDictionary<String, Tensor> = [:]
    let source = try Architecture(named: "resnet18").module(classes: 3, seed: 5)
    for (name, tensor) in source.stateDict().tensors where !name.hasSuffix("num_batches_tracked") {
      tensors["module.\(name)"] = try tensor.cast(to: .float16)
    }
    let path = try written(StateDict(tensors))
    defer { remove(path) }
    let classifier = try loadClassifier("resnet18", classes: 11, weights: .file(path))
    #expect(
      classifier.head == "fc" && classifier.features == 512 && classifier.weights == path.string
        && classifier.notes.isEmpty)
    #expect(classifier.parameters == 11_176_512 + 11 * 513)
    let state = classifier.module.stateDict()
    for (name, tensor) in tensors {
      let ours = state[String(name.dropFirst(7))]
      #expect(ours?.dtype == .float32)
      if !name.hasPrefix("module.fc.") { #expect(try bytes(ours) == bytes(tensor.cast(to: .float32))) }
    }
    #expect(state["bn1.num_batches_tracked"]?.dtype == .int64)
    #expect(state["fc.weight"]?.shape == [11, 512])
  }

  /// torchvision's own DenseNet files have names of its first years.
  @Test func olderNames() throws {
    var tensors: OrderedDictionary<String, Tensor> = [:]
    let source = try Architecture(named: "densenet121").module(seed: 1).stateDict()
    for (name, tensor) in source.tensors where !name.hasSuffix("num_batches_tracked") {
      let old = ["norm1", "norm2", "conv1", "conv2"].reduce(name) { name, part in
        name.contains("denselayer") ? name.replacing(".\(part).", with: ".\(part.dropLast()).\(part.suffix(1)).") : name
      }
      tensors[old] = tensor
    }
    #expect(tensors["features.denseblock1.denselayer1.norm.1.weight"] != nil)
    let path = try written(StateDict(tensors))
    defer { remove(path) }
    let state = try loadClassifier("densenet121", classes: 2, weights: .file(path)).module.stateDict()
    let name = "features.denseblock4.denselayer16.conv2.weight"
    #expect(try bytes(state[name]) == bytes(source[name]))
  }

  @Test func auxiliaryClassifiers() throws {
    let whole = try Architecture(named: "googlenet").module(classes: 4, seed: 2).stateDict()
    let path = try written(whole)
    defer { remove(path) }
    let classifier = try loadClassifier("googlenet", classes: 6, weights: .file(path))
    #expect(classifier.notes == ["the auxiliary classifiers aux1 and aux2 keep their weights, for 4 classes"])
    #expect(try bytes(classifier.module.stateDict()["aux1.fc2.weight"]) == bytes(whole["aux1.fc2.weight"]))
    // As YOLOv5 saves it, torchvision's pretrained one has none.
    let bare = try written(StateDict(whole.tensors.filter { !$0.key.hasPrefix("aux") }))
    defer { remove(bare) }
    let without = try loadClassifier("googlenet", classes: 6, weights: .file(bare))
    #expect(without.notes.isEmpty && without.module.stateDict().names.allSatisfy { !$0.hasPrefix("aux") })
    #expect(without.module.attributes["aux_logits"] == .bool(false))
  }

  @Test func random() throws {
    let state = try loadClassifier("resnet18", classes: 5, weights: .random, seed: 3).module.stateDict()
    let expected = try Architecture(named: "resnet18").module(seed: 3).stateDict()
    #expect(try bytes(state["conv1.weight"]) == bytes(expected["conv1.weight"]))
    #expect(try bytes(state["fc.weight"])?.allSatisfy { $0 == 0 } == true)
    // The generator goes on from the model to its last layer.
    var generator = TorchGenerator(seed: 3)
    _ = try Architecture(named: "resnet18").module(using: &generator)
    let bound = 1 / 512.0.squareRoot()
    let weight = try generator.uniform([5, 512], from: -bound, to: bound)
    let drawn = try loadClassifier("resnet18", classes: 5, weights: .random, head: .initialized, seed: 3).module
      .stateDict()
    #expect(try bytes(drawn["fc.weight"]) == bytes(weight))
  }

  @Test func refusals() throws {
    let state = try Architecture(named: "squeezenet1_1").module().stateDict()
    func reason(_ change: (inout StateDict) throws -> Void) throws -> String {
      var changed = state
      try change(&changed)
      let path = try written(changed)
      defer { remove(path) }
      let text = failure { _ = try loadClassifier("squeezenet1_1", classes: 2, weights: .file(path)) }
      return text.replacing("\(path): ", with: "")
    }
    #expect(try reason { _ in } == "")
    #expect(try reason { $0["extra"] = $0["features.0.bias"] } == "extra: squeezenet1_1 has no such entry")
    #expect(
      try reason { $0.tensors["features.0.bias"] = nil }
        == "features.0.bias: squeezenet1_1 has this entry, the file does not")
    #expect(
      try reason { $0["features.0.bias"] = try Tensor(.float32, [3]) }
        == "features.0.bias: does not fit squeezenet1_1: shape [3] against [64]")
    // The last layer is replaced anyway.
    #expect(try reason { $0.tensors["classifier.1.weight"] = nil } == "")
    #expect(
      try reason { $0["classifier.1.weight"] = try Tensor(.float32, [0, 512, 1, 1]) }.contains("classifier.1.weight"))
    #expect(try reason { $0["classifier.1.weight"] = try Tensor(.float32, []) }.contains("classifier.1.weight"))
    #expect(try reason { $0 = StateDict(["a": state["features.0.bias"]!]) }.contains("so it is with"))
    let random = { try loadClassifier($0, classes: $1, weights: .random) }
    for classes in [0, -1, 1 << 21, .max, .min] {
      #expect(failure { _ = try random("squeezenet1_1", classes) }.contains("the number must be from 1 to 1048576"))
    }
    #expect(failure { _ = try random("resnet5", 2) }.contains("the nearest are"))
    if Architecture.names.contains("yolov5n") {
      #expect(failure { _ = try random("yolov5n", 2) } == "yolov5n: is no classifier of torchvision's")
    }
    var sequential = Module(ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential)
    #expect(failure { try sequential.replaceClassifier(classes: 2) }.contains("is no classifier of torchvision's"))
  }
}
