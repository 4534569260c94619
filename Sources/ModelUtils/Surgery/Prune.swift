import ModelCore

/// Which weights to prune, and how.
public struct PruneOptions: Sendable {
  /// How much of each weight, or with `global` of all together.
  public var amount: PruneAmount
  /// Which elements go.
  public var method: PruneMethod
  /// Names (of the weight, its module or one around that) to prune; all when empty.
  public var include: [Glob]
  /// Names to leave out.
  public var exclude: [Glob]
  /// Zeros count as pruned already: the amount is of what is left (repeated pruning, for `l1` and `global`).
  public var isRepeated: Bool

  /// By magnitude 0.3 of every weight, unless said otherwise.
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
    func matches(_ globs: [Glob]) -> Bool { globs.contains { $0.matches(withAncestors: name) } }
    return (include.isEmpty || matches(include)) && !matches(exclude)
  }

  /// The patterns that none of the names match.
  func unmatched(among names: @autoclosure () -> [String]) -> [String] {
    let globs = include + exclude
    guard !globs.isEmpty else { return [] }
    let names = names()
    return globs.filter { glob in !names.contains { glob.matches(withAncestors: $0) } }.map(\.pattern)
  }
}

extension WeightContainer {
  /// Prunes the weight of every Conv2d for good, as YOLOv5's `prune`: no biases, no transposed convolutions, no linear
  /// layers. In a bare state dict, which does not tell a transposed convolution apart, every entry named `weight` with
  /// four axes.
  ///
  /// Pruned elements become +0 (the original multiplies by a mask, which leaves -0 for negatives and NaN for
  /// infinities); the rest keep their bits. Of equal magnitudes the first go.
  ///
  /// Masks of an earlier pruning are applied and removed, whatever tensor they are of; the amount is then of the
  /// elements, or of the slices, that they left.
  /// - Throws: `ModelError` when an amount, axis or pattern does not fit a weight, or a weight cannot be read; all is
  ///   then as it was.
  @discardableResult
  public mutating func prune(_ options: PruneOptions) throws -> PruneReport {
    let before = hasMasks ? self : nil
    do {
      let masks = try applyMasks()
      var layers: [PruneReport.Layer] = []
      try updateWeights(
        where: { $0.isConv2dWeight && options.isChosen($0.name) },
        change: { layers = try Pruning(options, masks: masks).run(&$0) })
      var report = PruneReport(layers: layers)
      report.unmasked = Array(masks.keys)
      let computed = computedWeights().filter(\.isConv2dWeight)
      report.unmatched = options.unmatched(
        among: namedWeights().filter(\.isConv2dWeight).map(\.name) + computed.map(\.name))
      report.refused = computed.filter { options.isChosen($0.name) }
        .map { .init(name: $0.name, reason: "is computed by \($0.cause) when the model runs") }
      return report
    } catch {
      if let before { self = before }
      throw error
    }
  }

  /// Prunes a share of each Conv2d's weight by magnitude.
  @discardableResult
  public mutating func prune(amount: Double = 0.3) throws -> PruneReport {
    try prune(PruneOptions(amount: .share(amount)))
  }
}
