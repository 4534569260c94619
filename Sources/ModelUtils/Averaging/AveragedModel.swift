import ModelCore

/// Stochastic weight averaging, `torch.optim.swa_utils.AveragedModel` with its default function: the mean of all models
/// given.
///
/// The first is copied; then e = e + (m - e) / (n + 1). Buffers are copied from the last model, or averaged with
/// `useBuffers`.
public struct AveragedModel: ModelAverage {
  /// Whether buffers are averaged as parameters are; else the last model's are copied.
  public var useBuffers: Bool
  /// The original's `n_averaged`.
  public private(set) var updates: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  /// An average to be updated.
  /// - Parameters:
  ///   - model: what has the average's tensors; the first update copies over it. To resume, the average itself.
  ///   - updates: how many models are in it.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public init(_ model: some Averageable, useBuffers: Bool = false, updates: Int = 0) throws {
    weights = try AveragedWeights(model.averageable)
    (self.useBuffers, self.updates) = (useBuffers, updates)
  }

  public var average: Model { weights.model }

  /// What the original keeps of itself: the model under `module`, and `n_averaged`.
  /// - Parameter model: such a state dict, or the pickled object.
  /// - Returns: the averaged tensors and their number of models; nil for anything else.
  public static func state(in model: Model) -> (average: StateDict, count: Int)? {
    var state = model.stateDict()
    let counter = "n_averaged"
    guard let tensor = state[counter], tensor.shape.isEmpty, tensor.dtype == .int64, let values = try? tensor.doubles(),
      let count = Int(exactly: values[0]), count >= 0, count < 1 << 53
    else { return nil }
    state.tensors[counter] = nil
    guard state.count > 0, state.names.allSatisfy({ $0.hasPrefix("module.") }) else { return nil }
    state.removeWrapperPrefixes()
    return (state, count)
  }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate {
    let (count, useBuffers) = (updates, useBuffers)
    let result = try weights.update(
      model.averageable, by: .names, decay: Double(count) / Double(count + 1), skipsNonFinite: skipsNonFinite
    ) { _, role in
      count == 0 || !(role == .parameter || useBuffers) ? .copy : .running(divisor: Double(count + 1))
    }
    if !result.isSkipped { updates += 1 }
    return result
  }
}
