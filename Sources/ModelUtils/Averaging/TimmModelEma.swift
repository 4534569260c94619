import ModelCore

/// timm's `ModelEma`: e = decay · e + (1 - decay) · m over every tensor, matched by name; integers are averaged in
/// float32 and truncated.
///
/// The prefixes of wrappers may stand on either side (the original handles `module.` on the model's). To resume, make
/// one from the tensors under `state_dict_ema`.
public struct ModelEma: ModelAverage {
  /// The share of the old average in the new one.
  public var decay: Double
  public private(set) var updates: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  /// An average that starts from a model; to resume, from the average itself, with the `updates` that it has had.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public init(_ model: some Averageable, decay: Double = 0.9999, updates: Int = 0) throws {
    weights = try AveragedWeights(model.averageable)
    (self.decay, self.updates) = (decay, updates)
  }

  public var average: Model { weights.model }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate {
    let decay = decay
    let result = try weights.update(
      model.averageable, by: .names, decay: decay, skipsNonFinite: skipsNonFinite
    ) { _, role in
      role == .nonPersistentBuffer ? .keep : .mix(keep: decay, weight: 1 - decay)
    }
    if !result.isSkipped { updates += 1 }
    return result
  }
}

/// timm's `ModelEmaV2`: the same, matched by order. Counts and shapes must agree (the original stops at the shorter);
/// where both sides have the same names, in whatever order a file has them, those count.
public struct ModelEmaV2: ModelAverage {
  /// The share of the old average in the new one.
  public var decay: Double
  public private(set) var updates: Int
  public var skipsNonFinite = false
  private var weights: AveragedWeights

  /// An average that starts from a model; to resume, from the average itself, with the `updates` that it has had.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public init(_ model: some Averageable, decay: Double = 0.9999, updates: Int = 0) throws {
    weights = try AveragedWeights(model.averageable)
    (self.decay, self.updates) = (decay, updates)
  }

  public var average: Model { weights.model }

  @discardableResult
  public mutating func update(_ model: some Averageable) throws -> AverageUpdate {
    let decay = decay
    let result = try weights.update(
      model.averageable, by: .order, decay: decay, skipsNonFinite: skipsNonFinite
    ) { _, role in
      role == .nonPersistentBuffer ? .keep : .mix(keep: decay, weight: 1 - decay)
    }
    if !result.isSkipped { updates += 1 }
    return result
  }

  /// Makes the average a copy of the model.
  public mutating func set(_ model: some Averageable) throws {
    _ = try weights.update(model.averageable, by: .order, decay: 0, skipsNonFinite: false) { _, role in
      role == .nonPersistentBuffer ? .keep : .copy
    }
  }
}
