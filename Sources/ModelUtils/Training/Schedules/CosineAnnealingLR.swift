import ModelCore

/// `torch.optim.lr_scheduler.CosineAnnealingLR` in its closed form, which torch takes when it is given an epoch.
///
/// minimum + (initial - minimum) · (1 + cos(π · epoch / period)) / 2. Without an epoch torch multiplies the last rate
/// instead, which differs in the last digits: see `chained`.
public struct CosineAnnealingLR: LearningRateSchedule, Hashable {
  /// How long the rate falls, the original's `T_max`; then it rises again.
  public let period: Int
  /// The lowest rate, the original's `eta_min`.
  public let minimum: Double

  /// A cosine.
  /// - Throws: `ModelError` for a period that is not above 0.
  public init(period: Int, minimum: Double = 0) throws {
    try checkLength("epochs", period)
    (self.period, self.minimum) = (period, minimum)
  }

  public func learningRate(at epoch: Int, initial: Double) -> Double {
    let part = (initial - minimum) * (1 + CMath.cos(.pi * Double(epoch) / Double(period)))
    return minimum + part / 2
  }

  /// The first rates that torch's `step()` makes one of the other, with its rounding.
  public func chained(_ count: Int, initial: Double) -> [Double] {
    var rates: [Double] = []
    for epoch in 0..<max(0, count) {
      guard let last = rates.last else {
        rates.append(initial)
        continue
      }
      let (before, rest) = (epoch - 1, (epoch - 1) % period)
      if rest == 0, before / period % 2 == 1 {
        let rise = (initial - minimum) * (1 - CMath.cos(.pi / Double(period)))
        rates.append(last + rise / 2)
      } else {
        let (now, then) = (1 + cosine(epoch), 1 + cosine(before))
        let scaled = now / then * (last - minimum)
        rates.append(scaled + minimum)
      }
    }
    return rates
  }

  private func cosine(_ epoch: Int) -> Double { CMath.cos(.pi * Double(epoch) / Double(period)) }
}
