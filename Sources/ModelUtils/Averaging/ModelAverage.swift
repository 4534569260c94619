import ModelCore

/// What can be averaged: a `Module`, a `StateDict`, or the `Model` of a checkpoint, which is either.
public protocol Averageable: Sendable {
  /// The model as an average takes it.
  var averageable: Model { get }
}

extension Model: Averageable { public var averageable: Model { self } }
extension Module: Averageable { public var averageable: Model { .module(self) } }
extension StateDict: Averageable { public var averageable: Model { .stateDict(self) } }

/// What one update of an average did.
public struct AverageUpdate: Sendable, Codable, Hashable {
  /// The share of the old average in the new one.
  public let decay: Double
  /// Tensors of the model that hold NaN or infinities.
  public let nonFinite: [String]
  /// Whether the update was left out for them.
  public let isSkipped: Bool
}

/// A running average of a model's weights.
///
/// All averages here are in evaluation mode and require no gradients. float32 results are those of the originals bit
/// for bit, float64's too; float16 and bfloat16 are averaged in float32 and rounded once an update, where the originals
/// round after each operation. Tied weights are averaged once an update (the originals average them once for each
/// name). Buffers that a state dict leaves out stay as they were at first, except where the originals go by
/// `buffers()`: SWA, `ModelEmaV3` with `excludeBuffers` and `ExpMomentumEMA` treat them as other buffers. An average
/// that is a bare state dict learns from a module what is a buffer, and else goes by the names of batch norms. While
/// nobody else holds the average its memory is changed in place.
public protocol ModelAverage: Sendable {
  /// The average, of the kind that it was made from.
  var average: Model { get }
  /// How many models have been taken into it, as the original counts.
  var updates: Int { get }
  /// Whether a model with NaN or infinities is left out altogether.
  var skipsNonFinite: Bool { get set }

  /// Takes a model into the average.
  /// - Throws: `ModelError` when the model lacks a tensor of the average or has another shape; the average is then
  ///   unchanged.
  @discardableResult
  mutating func update(_ model: some Averageable) throws -> AverageUpdate

  /// The same at a training step, for those averages that depend on it (`ModelEmaV3`).
  @discardableResult
  mutating func update(_ model: some Averageable, step: Int?) throws -> AverageUpdate
}

extension ModelAverage {
  /// The averaged tensors.
  public func stateDict() -> StateDict { average.stateDict() }

  @discardableResult
  public mutating func update(_ model: some Averageable, step: Int?) throws -> AverageUpdate { try update(model) }
}
