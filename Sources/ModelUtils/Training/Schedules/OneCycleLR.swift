import ModelCore

/// `torch.optim.lr_scheduler.OneCycleLR`: the rate rises to its maximum and falls far below where it began, step by
/// step, while the momentum falls and rises.
public struct OneCycleLR: Sendable, Hashable {
  /// How the way between two rates is gone.
  public enum Annealing: String, Sendable, Codable, CaseIterable {
    /// Half a cosine.
    case cosine
    /// A straight line.
    case linear
  }

  /// The highest rate, the original's `max_lr`.
  public let maximum: Double
  /// How many steps the cycle has.
  public let totalSteps: Int
  /// The share of the steps in which the rate rises, the original's `pct_start`.
  public let risingShare: Double
  /// How the way is gone.
  public let annealing: Annealing
  /// The least and the greatest momentum; nil where it is left as it is.
  public let momentum: ClosedRange<Double>?
  /// What the maximum is divided by to give the first rate, the original's `div_factor`.
  public let division: Double
  /// What the first rate is divided by to give the last, the original's `final_div_factor`.
  public let finalDivision: Double
  /// Whether the rate falls as it rose before it falls to the last.
  public let threePhases: Bool

  /// A cycle, with the original's defaults.
  /// - Throws: `ModelError` for no steps, a share that is not 0 to 1, and divisors that are not above 0.
  public init(
    maximum: Double, totalSteps: Int, risingShare: Double = 0.3, annealing: Annealing = .cosine,
    momentum: ClosedRange<Double>? = 0.85...0.95, division: Double = 25, finalDivision: Double = 1e4,
    threePhases: Bool = false
  ) throws {
    try checkLength("steps", totalSteps)
    guard (0...1).contains(risingShare) else {
      throw ModelError(.invalid, "the rate cannot rise for \(risingShare) of a cycle")
    }
    guard division > 0, finalDivision > 0 else {
      throw ModelError(.invalid, "a cycle's rates are divided by numbers above 0")
    }
    (self.maximum, self.totalSteps, self.risingShare) = (maximum, totalSteps, risingShare)
    (self.annealing, self.momentum, self.threePhases) = (annealing, momentum, threePhases)
    (self.division, self.finalDivision) = (division, finalDivision)
  }

  /// The first rate, torch's `initial_lr`.
  public var initial: Double { maximum / division }

  /// The rate and the momentum (or Adam's first beta) of a step, counted from 0.
  /// - Throws: `ModelError` for a step beyond the cycle.
  public func rates(at step: Int) throws -> (learningRate: Double, momentum: Double?) {
    guard (0...totalSteps).contains(step) else {
      throw ModelError(.invalid, "step \(step) is beyond the cycle's \(totalSteps)")
    }
    let phases = phases
    var start = 0.0
    for (index, phase) in phases.enumerated() {
      guard Double(step) <= phase.end || index == phases.count - 1 else {
        start = phase.end
        continue
      }
      let part = (Double(step) - start) / (phase.end - start)
      return (
        annealed(phase.rates.from, phase.rates.to, part),
        phase.momentum.map { annealed($0.from, $0.to, part) }
      )
    }
    return (initial, momentum?.upperBound)
  }

  private struct Phase {
    let end: Double
    let rates: (from: Double, to: Double)
    let momentum: (from: Double, to: Double)?
  }

  private var phases: [Phase] {
    let (last, lowest) = (Double(totalSteps - 1), initial / finalDivision)
    let (falling, rising) = (
      momentum.map { ($0.upperBound, $0.lowerBound) }, momentum.map { ($0.lowerBound, $0.upperBound) }
    )
    let turn = risingShare * Double(totalSteps)
    let rise = Phase(end: turn - 1, rates: (initial, maximum), momentum: falling)
    guard threePhases else { return [rise, Phase(end: last, rates: (maximum, lowest), momentum: rising)] }
    return [
      rise, Phase(end: 2 * risingShare * Double(totalSteps) - 2, rates: (maximum, initial), momentum: rising),
      Phase(end: last, rates: (initial, lowest), momentum: momentum.map { ($0.upperBound, $0.upperBound) }),
    ]
  }

  private func annealed(_ from: Double, _ to: Double, _ part: Double) -> Double {
    switch annealing {
    case .cosine:
      let way = (from - to) / 2 * (CMath.cos(.pi * part) + 1)
      return to + way
    case .linear:
      let way = (to - from) * part
      return way + from
    }
  }
}
