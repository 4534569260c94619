import ModelUtils

/// What was measured of one model; times in seconds, one for each repetition.
struct Measurement: Encodable {
  let file: String
  let parameters: Int
  /// The bytes of all parameters, which is what the floors pass over.
  let bytes: Int
  var fusedPairs = 0
  var prunedWeights = 0
  var sparsity = 0.0
  var operations: [String: [Double]] = [:]
  var floors: [String: [Double]] = [:]

  /// Runs each operation on fresh copies in memory of their own, which are made outside of the measured time.
  init(of module: Module, file: String, repetitions: Int) throws {
    self.file = file
    var (parameters, bytes) = (0, 0)
    module.forEachParameter { _, parameter in
      parameters += parameter.tensor.count
      bytes += parameter.tensor.byteCount
    }
    (self.parameters, self.bytes) = (parameters, bytes)
    let floors = Floors(byteCount: bytes)
    var sparsity = 0.0
    var (pruned, fused) = (PruneReport?.none, FusionReport?.none)
    var average = try ModelEMA(module)
    // The first repetition warms up.
    for repetition in 0...repetitions {
      let isCounted = repetition > 0
      var copy = try module.materialized()
      try time("prune", in: \.operations, isCounted) { pruned = try copy.prune(amount: 0.3) }
      try time("sparsity", in: \.operations, isCounted) { sparsity = try copy.sparsity().sparsity }
      copy = try module.materialized()
      try time("fuse", in: \.operations, isCounted) { fused = try copy.fuse() }
      copy = try module.materialized()
      try time("average", in: \.operations, isCounted) { try average.update(copy) }
      time("copy", in: \.floors, isCounted) { floors.copy() }
      time("update", in: \.floors, isCounted) { floors.update() }
      time("average", in: \.floors, isCounted) { floors.average() }
      time("read", in: \.floors, isCounted) { floors.read() }
    }
    (prunedWeights, fusedPairs) = (pruned?.layers.count ?? 0, fused?.fused.count ?? 0)
    self.sparsity = sparsity
  }

  private mutating func time(
    _ name: String, in list: WritableKeyPath<Self, [String: [Double]]>, _ isCounted: Bool, _ body: () throws -> Void
  ) rethrows {
    let duration = try ContinuousClock().measure(body)
    if isCounted { self[keyPath: list][name, default: []].append(duration / .seconds(1)) }
  }
}

extension Module {
  /// A copy whose parameters and buffers are in memory that nobody else holds.
  fileprivate func materialized() throws -> Module {
    var copy = self
    try copy.updateModules { _, module in
      for index in module.parameters.values.indices {
        module.parameters.values[index].tensor = try module.parameters.values[index].tensor.materialized()
      }
      for index in module.buffers.values.indices {
        module.buffers.values[index] = try module.buffers.values[index].materialized()
      }
    }
    return copy
  }
}
