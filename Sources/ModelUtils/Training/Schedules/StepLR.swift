import ModelCore

/// `torch.optim.lr_scheduler.StepLR` in its closed form: initial · gamma^(epoch / size).
public struct StepLR: LearningRateSchedule, Hashable {
  /// How many epochs the rate stays, the original's `step_size`.
  public let size: Int
  /// What it is multiplied by then.
  public let gamma: Double

  /// Steps of equal length.
  /// - Throws: `ModelError` for a size that is not above 0.
  public init(size: Int, gamma: Double = 0.1) throws {
    try checkLength("epochs", size)
    (self.size, self.gamma) = (size, gamma)
  }

  public func learningRate(at epoch: Int, initial: Double) -> Double {
    initial * CMath.pow(gamma, Double(max(0, epoch) / size))
  }

  /// The first rates that torch's `step()` makes one of the other, with its rounding.
  public func chained(_ count: Int, initial: Double) -> [Double] {
    var rate = initial
    return (0..<max(0, count)).map { epoch in
      if epoch > 0, epoch % size == 0 { rate *= gamma }
      return rate
    }
  }
}

/// `torch.optim.lr_scheduler.MultiStepLR` in its closed form: initial · gamma^(the milestones that are reached).
public struct MultiStepLR: LearningRateSchedule, Hashable {
  /// The epochs at which the rate changes, in order; one that stands twice counts twice.
  public let milestones: [Int]
  /// What it is multiplied by then.
  public let gamma: Double

  /// Steps at milestones.
  /// - Throws: `ModelError` for a milestone below 0.
  public init(milestones: [Int], gamma: Double = 0.1) throws {
    guard milestones.allSatisfy({ $0 >= 0 }) else {
      throw ModelError(.invalid, "a schedule's milestones are epochs, not \(milestones)")
    }
    (self.milestones, self.gamma) = (milestones.sorted(), gamma)
  }

  public func learningRate(at epoch: Int, initial: Double) -> Double {
    initial * CMath.pow(gamma, Double(milestones.prefix { $0 <= epoch }.count))
  }

  /// The first rates that torch's `step()` makes one of the other, with its rounding.
  public func chained(_ count: Int, initial: Double) -> [Double] {
    var rate = initial
    return (0..<max(0, count)).map { epoch in
      let reached = milestones.filter { $0 == epoch }.count
      if reached > 0 { rate *= CMath.pow(gamma, Double(reached)) }
      return rate
    }
  }
}
