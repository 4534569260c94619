import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// YOLOv5's and YOLOv6's `ModelEMA`: an exponential moving average whose decay grows from 0, over every floating
/// tensor, buffers included.
///
/// d = decay · (1 - exp(-updates / tau)); v = v · d, then v += (1 - d) · m. Integers keep their first value.
/// Names match with or without the prefixes of wrappers (`module.`, `_orig_mod.`, …) on either side.
public struct ModelEMA: ModelAverage {
  /// What the decay grows toward.
  public var decay: Double
  /// How fast the decay grows: it reaches 63 % after so many updates. YOLOv6's is fixed at 2000.
  public var tau: Double
  public private(set) var updates: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  /// An average that has the model's tensors until it is updated.
  /// - Parameters:
  ///   - model: what the average starts from; to resume, the average itself.
  ///   - updates: how many updates it has had.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public init(_ model: some Averageable, decay: Double = 0.9999, tau: Double = 2000, updates: Int = 0) throws {
    weights = try AveragedWeights(model.averageable)
    (self.decay, self.tau, self.updates) = (decay, tau, updates)
  }

  public var average: Model { weights.model }

  /// The decay of the update of this number.
  public func decay(at update: Int) -> Double { decay * (1 - exp(-Double(update) / tau)) }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate {
    let d = decay(at: updates + 1)
    let result = try weights.update(
      model.averageable, by: .names, decay: d, skipsNonFinite: skipsNonFinite
    ) { tensor, role in
      tensor.dtype.isFloatingPoint && role != .nonPersistentBuffer ? .mix(keep: d, weight: 1 - d) : .keep
    }
    if !result.isSkipped { updates += 1 }
    return result
  }

  /// Copies the model's plain attributes to the average: `update_attr`. Does nothing for a state dict.
  /// - Returns: the names that were copied.
  @discardableResult
  public mutating func updateAttributes(
    from model: Module, include: Set<String> = [], exclude: Set<String> = ["process_group", "reducer"]
  ) -> [String] {
    guard var module = weights.skeleton else { return [] }
    defer { weights.skeleton = module }
    return copyAttributes(from: model, to: &module, include: include, exclude: exclude)
  }
}
