import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

/// Whatever is changed through the public interface comes back from the file.
@Suite struct RandomEditsTests {
  @Test(
    arguments: [
      "conv_bn_small.pt", "yolov5_tiny.pt", "yolov5_blocks_fused.pt", "training_checkpoint.pt", "legacy_module.pt",
      "trap_conv_twice.pt", "trap_weight_twice.pt",
    ])
  func ofWholeModules(file: String) throws {
    let folder = try TemporaryFolder()
    for seed in 0..<20 {
      var edits = Edits(UInt64(seed))
      var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
      try checkpoint.updateModels { _, model in
        try model.change { root in
          for _ in 0..<8 { try edits.apply(to: &root) }
        }
      }
      try checkpoint.write(to: folder["edited.pt"])
      let again = try Checkpoint(contentsOf: folder["edited.pt"])
      #expect(again.models.keys == checkpoint.models.keys)
      for (key, model) in checkpoint.models {
        let difference = try again.models[key]?.text().difference(from: model.text())
        #expect(difference?.isEmpty == true, "\(file) \(key), seed \(seed): \(edits.log), \(difference as Any)")
      }
      // Written once more from there, nothing changes either.
      try again.write(to: folder["twice.pt"])
      let twice = try Checkpoint(contentsOf: folder["twice.pt"])
      #expect(try twice.preferred.text() == again.preferred.text(), "\(file), seed \(seed)")
    }
  }

  @Test(arguments: ["nested_state_dict.pt", "protocol0.pt", "protocol5.pt", "legacy.pt", "nested_net.pt", "dtypes.pt"])
  func ofStateDicts(file: String) throws {
    let folder = try TemporaryFolder()
    for seed in 0..<20 {
      var generator = Generator(UInt64(seed))
      var checkpoint = try Checkpoint(contentsOf: TorchFixtures.path(file))
      try checkpoint.updateModels { _, model in
        var state = model.stateDict()
        for number in 0..<6 {
          let name = state.names.randomElement(using: &generator) ?? ""
          switch Int.random(in: 0..<5, using: &generator) {
          case 0: state[name] = try Tensor([Float(number), 1])
          case 1: state[name] = nil
          case 2: state["new.\(number)"] = state[name]
          case 3: state.tensors.updateValue(try Tensor([Float(number)]), forKey: "first.\(number)", insertingAt: 0)
          default: state.tensors.shuffle(using: &generator)
          }
        }
        if state.count == 0 { state["last"] = try Tensor([1]) }
        model = .stateDict(state)
      }
      try checkpoint.write(to: folder["edited.pt"])
      let again = try Checkpoint(contentsOf: folder["edited.pt"])
      for (key, model) in checkpoint.models {
        #expect(try again.models[key]?.text() == model.text(), "\(file) \(key), seed \(seed)")
        #expect(
          try sharing(#require(again.models[key]).stateDict()) == sharing(model.stateDict()), "\(file), seed \(seed)")
      }
    }
  }
}

/// Random changes of a module tree.
private struct Edits {
  private var generator: Generator
  private var count = 0
  private(set) var log: [String] = []

  init(_ seed: UInt64) { generator = Generator(seed) }

  private mutating func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &generator) }

  private mutating func tensor() throws -> Tensor {
    let length = random(0..<5)
    return try Tensor((0..<length).map { Float($0 + count) })
  }

  private static func isOwn(_ module: Module) -> Bool { !module.className.isTorchModule }

  mutating func apply(to root: inout Module) throws {
    count += 1
    var modules: [(path: String, module: Module)] = []
    root.forEachModule { modules.append(($0, $1)) }
    let (path, module) = modules[random(0..<modules.count)]
    let donor = modules[random(0..<modules.count)]
    let name = "edit\(count)"
    let tensor = try tensor()
    let parameter = module.parameters.keys.randomElement(using: &generator)
    let buffer = module.buffers.keys.randomElement(using: &generator)
    let child = module.children.keys.randomElement(using: &generator)
    let choice = random(0..<18)
    let dict = module.attributes.filter { $0.value.entriesValue != nil && $0.value.isUnderstood }.keys
      .randomElement(using: &generator)
    let value = random(0..<4) == 0 ? Attribute.list([.tensor(.init(tensor)), .int(count)]) : attribute(depth: 0)
    var shuffled = module.children
    shuffled.shuffle(using: &generator)
    let layer = changed(module.layer)
    log.append("\(choice) at \(path)")
    root.change(path) { module in
      switch choice {
      case 0: if let parameter { module.parameters[parameter]?.tensor = tensor }
      case 1: if let parameter { module.parameters[parameter]?.requiresGrad.toggle() }
      case 2: if let parameter { module.parameters[parameter] = nil }
      case 3: module.parameters.updateValue(Parameter(tensor), forKey: name, insertingAt: 0)
      case 4: if let buffer { module.buffers[buffer] = tensor }
      case 5: module.buffers[name] = tensor
      case 6: if let buffer { module.nonPersistentBuffers.formSymmetricDifference([buffer]) }
      case 7: if let child { module.children[child] = nil }
      case 8: module.children = shuffled
      case 9: module.isTraining.toggle()
      case 10:
        if Self.isOwn(module) { module.attributes.updateValue(value, forKey: name, insertingAt: 0) }
      case 11: if Self.isOwn(module) { module.attributes = module.attributes.filter { !$0.key.hasPrefix("edit") } }
      case 12: if Self.isOwn(module) { module.className = ClassName("my.models", name) }
      case 13: module.layer = layer
      case 14:
        module.children[name] = Module(
          ClassName("torch.nn.modules.linear", "Linear"), layer: .linear(Linear(inFeatures: 2, outFeatures: 3)),
          parameters: ["weight": Parameter(tensor, requiresGrad: false)])
      case 17:
        // An entry more in a dict that the file has.
        if let dict, Self.isOwn(module), let attribute = module.attributes[dict] {
          module.attributes[dict] = attribute.adding(.init(key: .string(name), value: value))
        }
      case 15:
        // The same tensor, and the same parameter, in a second place.
        if let (key, shared) = donor.module.parameters.elements.first {
          module.parameters["\(name)\(key)"] = shared
          module.buffers[name] = shared.tensor
        }
      default: break
      }
    }
    // A module in a second place, unless it would contain itself.
    if choice == 16, donor.module.children.isEmpty, donor.path != path {
      root.change(path) { if $0.identity != donor.module.identity { $0.children[name] = donor.module } }
    }
  }

  private mutating func changed(_ layer: Layer) -> Layer {
    switch layer {
    case .convolution(var layer):
      layer.stride = layer.kernelSize.map { _ in random(1..<4) }
      layer.padding = random(0..<3) == 0 && !layer.isTransposed ? nil : layer.kernelSize.map { _ in random(0..<3) }
      return .convolution(layer)
    case .batchNorm(var norm):
      norm.eps = Double(random(1..<9)) / 64
      norm.momentum = random(0..<2) == 0 ? nil : 0.25
      return .batchNorm(norm)
    case .linear(var layer):
      layer.outFeatures = random(1..<9)
      return .linear(layer)
    case .pool(var pool):
      pool.ceilMode.toggle()
      return .pool(pool)
    case .upsample: return .upsample(Upsample(.scale([Double(random(1..<5))])))
    default: return layer
    }
  }

  /// Different ones that Python can hash.
  private mutating func keys() -> [Attribute] {
    let keys = [Attribute.int(7), .string("key"), .none, .tuple([.int(1), .double(0.5)]), .frozenSet([.string("é")])]
    return Array(keys.shuffled(using: &generator).prefix(random(0..<4)))
  }

  private mutating func attribute(depth: Int) -> Attribute {
    switch random(0..<(depth < 3 ? 13 : 6)) {
    case 0: return .none
    case 1: return .bool(random(0..<2) == 0)
    case 2: return .int([0, -1, 255, 256, 65536, Int.max, Int.min][random(0..<7)])
    case 3: return .double([0.5, -0.0, .infinity, 1e300][random(0..<4)])
    case 4: return .string(["", "a", "ä\n\u{0}", "🙂"][random(0..<4)])
    case 5: return depth == 0 ? .boundMethod("forward_fuse") : .unboundMethod(ClassName("my.models", "Net"), "forward")
    case 6: return .list((0..<random(0..<4)).map { _ in attribute(depth: depth + 1) })
    case 7: return .tuple((0..<random(0..<5)).map { _ in attribute(depth: depth + 1) })
    case 8: return .set(keys())
    case 9: return .frozenSet(keys())
    case 12: return .size((0..<random(0..<4)).map { _ in random(0..<300) })
    case 10: return .dict(keys().map { .init(key: $0, value: attribute(depth: depth + 1)) })
    default: return .orderedDict(keys().map { .init(key: $0, value: attribute(depth: depth + 1)) })
    }
  }
}

extension Attribute {
  fileprivate var isUnderstood: Bool {
    switch self {
    case .opaque: false
    case .list(let items), .tuple(let items), .set(let items), .frozenSet(let items): items.allSatisfy(\.isUnderstood)
    case .dict(let entries), .orderedDict(let entries):
      entries.allSatisfy { $0.key.isUnderstood && $0.value.isUnderstood }
    case .none, .bool, .int, .double, .string, .size, .tensor, .boundMethod, .unboundMethod: true
    }
  }

  /// A dict of the same class with one entry more.
  fileprivate func adding(_ entry: Entry) -> Attribute {
    switch self {
    case .dict(let entries): .dict(entries + [entry])
    case .orderedDict(let entries): .orderedDict(entries + [entry])
    default: self
    }
  }
}
