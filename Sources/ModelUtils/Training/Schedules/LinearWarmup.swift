import ModelCore

/// `SequentialLR` of `LinearLR` and another schedule, as torchvision trains: the rate rises in a straight line, then the
/// schedule begins at its epoch 0.
public struct LinearWarmup<Main: LearningRateSchedule>: LearningRateSchedule {
  /// How many epochs the rate rises.
  public let epochs: Int
  /// The share of the initial rate that it begins with, the original's `start_factor`.
  public let startFactor: Double
  /// What comes then.
  public let main: Main

  /// A rise before a schedule; no epochs leave the schedule alone.
  /// - Throws: `ModelError` for a number of epochs below 0, and a share that is not above 0 and at most 1.
  public init(epochs: Int, startFactor: Double = 1.0 / 3, then main: Main) throws {
    guard epochs >= 0, startFactor > 0, startFactor <= 1 else {
      throw ModelError(.invalid, "a warm-up of \(epochs) epochs cannot begin with \(startFactor) of the rate")
    }
    (self.epochs, self.startFactor, self.main) = (epochs, startFactor, main)
  }

  public func learningRate(at epoch: Int, initial: Double) -> Double {
    guard epoch < epochs else { return main.learningRate(at: epoch - epochs, initial: initial) }
    let rise = (1 - startFactor) * Double(epoch) / Double(epochs)
    return initial * (startFactor + rise)
  }
}
