import ModelCore

/// Which weights to prune, and how.
public struct PruneOptions: Sendable {
  public var amount: PruneAmount
  public var method: PruneMethod
  /// Names (of the weight or its module) to prune; all when empty.
  public var include: [Glob]
  /// Names to leave out.
  public var exclude: [Glob]
  /// Zeros count as pruned already: the amount is of what is left (repeated pruning, for `l1` and `global`).
  public var isRepeated: Bool

  public init(
    amount: PruneAmount = .share(0.3), method: PruneMethod = .l1, include: [Glob] = [], exclude: [Glob] = [],
    isRepeated: Bool = false
  ) {
    self.amount = amount
    self.method = method
    self.include = include
    self.exclude = exclude
    self.isRepeated = isRepeated
  }

  func isChosen(_ name: String) -> Bool {
    let module = name.split(separator: ".").dropLast().joined(separator: ".")
    func matches(_ globs: [Glob]) -> Bool { globs.contains { $0.matches(name) || $0.matches(module) } }
    return (include.isEmpty || matches(include)) && !matches(exclude)
  }
}

extension Module {
  /// Prunes the weight of every Conv2d for good, as YOLOv5's `prune`: no biases, no transposed convolutions, no linear
  /// layers.
  ///
  /// Pruned elements become +0 (the original multiplies by a mask, which leaves -0 for negatives and NaN for
  /// infinities); the rest keep their bits. Of equal magnitudes the first go.
  /// - Throws: `ModelError` when an amount, axis or pattern does not fit a weight; the module is then unchanged.
  @discardableResult
  public mutating func prune(_ options: PruneOptions) throws -> PruneReport {
    var layers: [PruneReport.Layer] = []
    try updateWeights { name, module, parameter in
      guard parameter == "weight", case .convolution(let convolution) = module.layer, convolution.rank == 2,
        !convolution.isTransposed
      else { return false }
      return options.isChosen(name)
    } change: {
      layers = try Pruning(options).run(&$0)
    }
    return PruneReport(layers: layers)
  }

  /// Prunes a share of each Conv2d's weight by magnitude.
  @discardableResult
  public mutating func prune(amount: Double = 0.3) throws -> PruneReport {
    try prune(PruneOptions(amount: .share(amount)))
  }
}

extension StateDict {
  /// Prunes what stands for Conv2d weights in a bare state dict: every entry named `weight` with four axes. A
  /// transposed convolution cannot be told apart.
  @discardableResult
  public mutating func prune(_ options: PruneOptions) throws -> PruneReport {
    var layers: [PruneReport.Layer] = []
    try updateWeights { name, tensor in
      (name == "weight" || name.hasSuffix(".weight")) && tensor.shape.count == 4 && tensor.dtype.isFloatingPoint
        && options.isChosen(name)
    } change: {
      layers = try Pruning(options).run(&$0)
    }
    return PruneReport(layers: layers)
  }
}

extension Model {
  /// Prunes the weights of every Conv2d, or what stands for them in a bare state dict.
  @discardableResult
  public mutating func prune(_ options: PruneOptions) throws -> PruneReport {
    try update(module: { try $0.prune(options) }, stateDict: { try $0.prune(options) })
  }
}
