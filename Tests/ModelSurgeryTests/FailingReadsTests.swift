import ModelArchitectures
import ModelCheckpoints
import ModelCore
import ModelSurgery
import Synchronization
import SystemPackage
import Testing

/// Whichever read of a tensor fails, what was to be changed stays as it was.
@Suite struct FailingReadsTests {
  /// Counts reads and refuses one of them.
  final class Reads: Sendable {
    private let state = Mutex((count: 0, refused: Int?.none))

    struct Refusal: Error {}

    func refuse(_ number: Int?) { state.withLock { $0 = (0, number) } }

    var hasRefused: Bool { state.withLock { state in state.refused.map { state.count >= $0 } ?? false } }

    func read() throws {
      try state.withLock {
        $0.count += 1
        if $0.count == $0.refused { throw Refusal() }
      }
    }
  }

  private static func file(_ name: String) -> FilePath {
    FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Fixtures").appending(name)
  }

  private func counting(_ tensor: Tensor, _ reads: Reads) throws -> Tensor {
    try Tensor(computed: tensor.dtype, tensor.shape) {
      try reads.read()
      try tensor.copyBytes(to: $0)
    }
  }

  private func counting(_ module: Module, _ reads: Reads) throws -> Module {
    var module = module
    try module.updateModules { _, module in
      for index in module.parameters.values.indices {
        module.parameters.values[index].tensor = try counting(module.parameters.values[index].tensor, reads)
      }
      for index in module.buffers.values.indices {
        module.buffers.values[index] = try counting(module.buffers.values[index], reads)
      }
    }
    return module
  }

  /// What a model is, by the identities of its tensors and by all else that it holds.
  private func fingerprint(_ model: Model) -> [String] {
    var lines = model.stateDict().tensors.map { "\($0.key) \($0.value.identity.hashValue)" }
    model.module?.forEachModule { path, module in
      lines.append("\(path) \(module.className) \(module.layer) \(module.attributes.keys) \(module.children.keys)")
      for (name, parameter) in module.parameters {
        lines.append("\(path) \(name) \(parameter.identity.hashValue) \(parameter.requiresGrad)")
      }
      for (name, buffer) in module.buffers { lines.append("\(path) \(name) \(buffer.identity.hashValue)") }
    }
    return lines
  }

  /// Lets each read of `change` fail in turn; at the end it succeeds once.
  private func expectUnchanged(
    _ model: Model, _ reads: Reads, atLeast: Int, sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (inout Model) throws -> Void
  ) throws {
    let before = fingerprint(model)
    var number = 1
    while true {
      var changed = model
      reads.refuse(number)
      do {
        try change(&changed)
        break
      } catch is Reads.Refusal {
        #expect(fingerprint(changed) == before, "read \(number)", sourceLocation: sourceLocation)
      }
      number += 1
    }
    #expect(number > atLeast, sourceLocation: sourceLocation)
    var changed = model
    reads.refuse(nil)
    try change(&changed)
    #expect(fingerprint(changed) != before, sourceLocation: sourceLocation)
  }

  private func module(_ file: String, _ reads: Reads) throws -> Model {
    let checkpoint = try Checkpoint(contentsOf: Self.file(file))
    return .module(try counting(try #require(checkpoint.preferred.module), reads))
  }

  @Test(arguments: ["conv_bn_small.pt", "yolov5_blocks.pt"]) func fusing(file: String) throws {
    let reads = Reads()
    // Four small tensors of each batch norm.
    try expectUnchanged(try module(file, reads), reads, atLeast: 8) { model in
      guard case .module(var module) = model else { return }
      defer { model = .module(module) }
      _ = try module.fuse()
    }
  }

  @Test func reparameterizing() throws {
    let reads = Reads()
    func branch(_ kernelSize: Int) throws -> Module {
      let weight = try Tensor(
        [Float](repeating: 0.5, count: 4 * kernelSize * kernelSize), [2, 2, kernelSize, kernelSize])
      let conv = try Module.conv2d(weight: weight, padding: kernelSize / 2)
      return Module(
        ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential,
        children: ["conv": conv, "bn": try .batchNorm2d(2)])
    }
    let block = Module(
      ClassName("repvgg", "RepVGGBlock"),
      children: [
        "nonlinearity": .relu(), "se": .identity(), "rbr_identity": try .batchNorm2d(2), "rbr_dense": try branch(3),
        "rbr_1x1": try branch(1),
      ])
    // Two weights and three norms of four tensors.
    try expectUnchanged(.module(try counting(block, reads)), reads, atLeast: 14) { model in
      guard case .module(var module) = model else { return }
      defer { model = .module(module) }
      let report = try module.reparameterize()
      #expect(report.merged == [""] && report.refused.isEmpty)
    }
  }

  @Test func fusingPairs() throws {
    let reads = Reads()
    let state = try #require(try module("conv_bn_small.pt", reads).module).stateDict()
    try expectUnchanged(.stateDict(state), reads, atLeast: 8) { model in
      var state = model.stateDict()
      defer { model = .stateDict(state) }
      _ = try state.fuse([PairPattern("0=1"), PairPattern("3=4")], eps: 1e-5)
    }
  }

  @Test func convertingAndTransferring() throws {
    let reads = Reads()
    let model = try module("conv_bn_small.pt", reads)
    try expectUnchanged(model, reads, atLeast: -1) { try $0.convert(to: .float16) }
    let wide = StateDict(
      OrderedDictionary(
        uniqueKeysWithValues: try model.stateDict().tensors.map { name, tensor in
          (name, try counting(Tensor(tensor.dtype == .int64 ? .float32 : .int64, tensor.shape), reads))
        }))
    try expectUnchanged(model, reads, atLeast: 8) { _ = try $0.transfer(from: wide) }
    try expectUnchanged(.stateDict(model.stateDict()), reads, atLeast: 8) { _ = try $0.transfer(from: wide) }
  }

  /// Weights in memory among those that are read come back too.
  @Test(arguments: [
    PruneMethod.l1, .global, .random(seed: 1), .randomStructured(seed: 1, axis: 0), .structured(norm: 1, axis: 0),
  ])
  func pruning(method: PruneMethod) throws {
    let reads = Reads()
    guard case .module(var module) = try module("conv_bn_small.pt", reads) else { return }
    let values = (0..<216).map(Float.init)
    let path = try #require(module.children.keys.first)
    module.children[path]?.parameters["weight"]?.tensor = try Tensor(values, [8, 3, 3, 3])
    let options = PruneOptions(amount: .share(0.5), method: method)
    try expectUnchanged(.module(module), reads, atLeast: 2) { model in
      defer {
        let weight = model.module?[path]?.parameters["weight"]?.tensor
        if reads.hasRefused { #expect((try? weight?.floats()) == values) }
      }
      _ = try model.prune(options)
    }
    try expectUnchanged(.stateDict(module.stateDict()), reads, atLeast: 2) { _ = try $0.prune(options) }
  }

  /// The checkpoint too: its average stays where it is, its entries what they are.
  @Test func stripping() throws {
    let reads = Reads()
    var original = try Checkpoint(contentsOf: Self.file("training_checkpoint.pt"))
    try original.updateModels { _, model in
      guard case .module(let module) = model else { return }
      model = .module(try counting(module, reads))
    }
    func state(_ checkpoint: Checkpoint) -> [String] {
      let entries = ["epoch", "optimizer", "best_fitness", "updates"].map { "\($0) \(checkpoint.entry($0) as Any)" }
      return entries + checkpoint.models.flatMap { [$0.key] + fingerprint($0.value) }
    }
    let before = state(original)
    #expect(original.models.keys.contains("ema"))
    var number = 1
    while true {
      var checkpoint = original
      reads.refuse(number)
      do {
        try checkpoint.strip(to: .bfloat16)
        #expect(state(checkpoint) != before)
        break
      } catch is Reads.Refusal { #expect(state(checkpoint) == before, "read \(number)") }
      number += 1
    }
    #expect(number > 8)
  }

  /// What does not fit is refused before anything moves.
  @Test func strippingWhatOverflows() throws {
    var file = try Checkpoint(contentsOf: Self.file("training_checkpoint.pt"))
    try file.updateModels { _, model in
      guard case .module(var module) = model else { return }
      let large = try Tensor([1e30])
      module.updateModules { path, module in if path.isEmpty { module.parameters["large"] = Parameter(large) } }
      model = .module(module)
    }
    let before = file.models.map { "\($0.key) \(fingerprint($0.value))" }
    let entries = ["epoch", "optimizer", "updates"].map { file.entry($0) }
    #expect { try file.strip() } throws: { ($0 as? ModelError)?.reason.hasSuffix("float16: large") == true }
    #expect(file.models.map { "\($0.key) \(fingerprint($0.value))" } == before)
    #expect(["epoch", "optimizer", "updates"].map { file.entry($0) } == entries)
  }
}
