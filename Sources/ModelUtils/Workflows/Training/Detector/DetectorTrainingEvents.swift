import ModelDetection

/// What a run tells while it goes on, and at its end.
extension DetectorTraining {
  /// What happens in a run.
  public enum Event: Sendable {
    /// A batch is done.
    case step(Step)
    /// Pictures that are judged, of how many.
    case judged(Int, of: Int)
    /// An epoch, with its place among the others.
    case epoch(EpochResult)
    /// What a user should know.
    case note(String)
  }

  /// A batch that is done.
  public struct Step: Sendable {
    /// From 1.
    public let epoch: Int
    /// Batches of the epoch that are done, of how many.
    public let done: Int, count: Int
    /// Counted from 0 through all epochs.
    public let number: Int
    /// The batch's loss by its items, and their sum.
    public let items: [DetectionLoss.Item]
    /// What the gradients are of.
    public let total: Double
    /// The items' means over the epoch so far.
    public let means: [Double]
    /// By parameter groups: of norms, other weights, biases, in the original's order.
    public let learningRates: [Double]
    /// Whether weights were updated.
    public let isUpdate: Bool
  }

  /// What an epoch gave.
  public struct EpochResult: Sendable {
    /// From 1.
    public let epoch: Int
    /// The items of the loss, mean by mean.
    public let items: [DetectionLoss.Item]
    /// How the judged weights did; nil for epochs that are not judged.
    public let scores: DetectionScores?
    /// Of the last step, by parameter groups.
    public let learningRates: [Double]
    /// How long it took, evaluation included.
    public let seconds: Double
  }

  /// How the run ended.
  public struct Outcome: Sendable {
    /// Of the epochs that this call went through.
    public let epochs: [EpochResult]
    /// The best average precision of all epochs; nil where nothing was judged.
    public let best: Double?
    /// Whether it was asked to stop.
    public let isInterrupted: Bool
  }
}
