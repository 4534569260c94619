import ModelCore
import ModelGraph

/// What is made of the losses of single elements.
public enum LossReduction: String, Sendable, Codable, CaseIterable {
  /// Their mean, or their sum.
  case mean, sum
}

/// torch's losses as operations of a graph, so that gradients follow from those of their parts.
extension Graph {
  /// `F.cross_entropy` of scores and the numbers of classes.
  /// - Parameters:
  ///   - scores: floating [batch, classes, …].
  ///   - labels: int64 [batch, …]. What is no class, such as torch's -100, does not count.
  ///   - classes: how many there are.
  ///   - weights: one for each class.
  ///   - smoothing: how much of a label goes to all classes alike, 0 to 1.
  /// - Returns: a scalar. A mean is weighted, as torch's.
  /// - Throws: `ModelError` for parameters that do not fit; shapes are checked when types are inferred.
  public mutating func crossEntropy(
    _ scores: Value, _ labels: Value, classes: Int, rank: Int = 2, weights: [Double]? = nil, smoothing: Double = 0,
    dtype: DType = .float32, reduction: LossReduction = .mean
  ) throws -> Value {
    guard (0...1).contains(smoothing), weights == nil || weights?.count == classes, rank >= 2, classes > 0 else {
      throw ModelError(
        .invalid, "a cross entropy of \(classes) classes takes as many weights, and a smoothing of 0 to 1")
    }
    let column = [classes] + [Int](repeating: 1, count: rank - 2)
    let logarithms = try emit(.softmax(axis: 1, isLogarithm: true), scores)
    let numbers = addConstant(try Tensor((0..<classes).map { Int64($0) }, column))
    let expected = try emit(
      .reshape([.of(operand: 0, axis: 0), .fixed(1)] + (rank > 2 ? [.axes(operand: 0, from: 1)] : [])), labels)
    var chosen = try emit(.convert(dtype), try emit(.compare(.equal), expected, numbers))
    let factors = try weights.map { addConstant(try Tensor($0, column).cast(to: dtype)) }
    // Which labels count, before weights.
    let valid = smoothing > 0 ? try emit(.reduce(.sum, axes: [1], keepsAxes: true), chosen) : nil
    if let factors { chosen = try emit(.binary(.multiply), chosen, factors) }
    var loss = try sum(try emit(.binary(.multiply), chosen, logarithms), rank: rank)
    if let valid {
      var smooth = try emit(.binary(.multiply), logarithms, valid)
      if let factors { smooth = try emit(.binary(.multiply), smooth, factors) }
      smooth = try scaled(try sum(smooth, rank: rank), by: smoothing / Double(classes), dtype)
      loss = try emit(.binary(.add), try scaled(loss, by: 1 - smoothing, dtype), smooth)
    }
    if reduction == .mean { loss = try emit(.binary(.divide), loss, try sum(chosen, rank: rank)) }
    return try emit(.unary(.negate), loss)
  }

  /// `F.binary_cross_entropy_with_logits`.
  /// - Parameters:
  ///   - scores: before the sigmoid.
  ///   - targets: 0 to 1, of the same shape.
  ///   - positiveWeight: how much more what is expected counts.
  public mutating func binaryCrossEntropy(
    _ scores: Value, _ targets: Value, rank: Int, positiveWeight: Double? = nil, dtype: DType = .float32,
    reduction: LossReduction = .mean
  ) throws -> Value {
    try reduced(
      try binaryCrossEntropies(scores, targets, positiveWeight, dtype), rank: rank, reduction: reduction)
  }

  /// Of each element: (1 - t) · x - w · log sigmoid(x).
  private mutating func binaryCrossEntropies(
    _ scores: Value, _ targets: Value, _ positiveWeight: Double?, _ dtype: DType
  ) throws -> Value {
    let rest = try emit(.binary(.subtract), try number(1, dtype), targets)
    var logarithm = try emit(.unary(.logSigmoid), scores)
    if let positiveWeight {
      let more = try scaled(targets, by: positiveWeight - 1, dtype)
      logarithm = try emit(.binary(.multiply), logarithm, try emit(.binary(.add), more, try number(1, dtype)))
    }
    return try emit(.binary(.subtract), try emit(.binary(.multiply), rest, scores), logarithm)
  }

  /// torchvision's `sigmoid_focal_loss`.
  /// - Parameters:
  ///   - alpha: the share of what is expected; nil weighs both alike.
  ///   - gamma: how much less what is nearly right counts.
  public mutating func focalLoss(
    _ scores: Value, _ targets: Value, rank: Int, alpha: Double? = 0.25, gamma: Double = 2, dtype: DType = .float32,
    reduction: LossReduction = .mean
  ) throws -> Value {
    let one = try number(1, dtype)
    let probability = try emit(.unary(.sigmoid), scores)
    let entropy = try binaryCrossEntropies(scores, targets, nil, dtype)
    let rest = try emit(.binary(.subtract), one, targets)
    let right = try emit(
      .binary(.add), try emit(.binary(.multiply), probability, targets),
      try emit(.binary(.multiply), try emit(.binary(.subtract), one, probability), rest))
    let wrong = try emit(.binary(.subtract), one, right)
    var loss = try emit(
      .binary(.multiply), entropy, try emit(.binary(.power), wrong, try number(gamma, dtype)))
    if let alpha {
      let share = try emit(
        .binary(.add), try scaled(targets, by: alpha, dtype), try scaled(rest, by: 1 - alpha, dtype))
      loss = try emit(.binary(.multiply), loss, share)
    }
    return try reduced(loss, rank: rank, reduction: reduction)
  }

  /// `F.mse_loss`.
  public mutating func squaredError(
    _ values: Value, _ targets: Value, rank: Int, reduction: LossReduction = .mean
  ) throws -> Value {
    let difference = try emit(.binary(.subtract), values, targets)
    return try reduced(try emit(.unary(.square), difference), rank: rank, reduction: reduction)
  }

  /// `F.l1_loss`.
  public mutating func absoluteError(
    _ values: Value, _ targets: Value, rank: Int, reduction: LossReduction = .mean
  ) throws -> Value {
    let difference = try emit(.binary(.subtract), values, targets)
    return try reduced(try emit(.unary(.abs), difference), rank: rank, reduction: reduction)
  }

  /// `F.smooth_l1_loss`: a square below `beta`, straight above.
  /// - Throws: `ModelError` for a beta that is not positive.
  public mutating func smoothAbsoluteError(
    _ values: Value, _ targets: Value, rank: Int, beta: Double = 1, dtype: DType = .float32,
    reduction: LossReduction = .mean
  ) throws -> Value {
    guard beta > 0 else { throw ModelError(.invalid, "a smooth L1 loss takes a beta above 0, not \(beta)") }
    let distance = try emit(.unary(.abs), try emit(.binary(.subtract), values, targets))
    let square = try scaled(try emit(.unary(.square), distance), by: 0.5 / beta, dtype)
    let straight = try emit(.binary(.subtract), distance, try number(beta / 2, dtype))
    let isNear = try emit(.compare(.less), distance, try number(beta, dtype))
    return try reduced(try emit(.select, isNear, square, straight), rank: rank, reduction: reduction)
  }

  // MARK: Parts

  private mutating func number(_ number: Double, _ dtype: DType) throws -> Value {
    addConstant(try Tensor([number], []).cast(to: dtype))
  }

  private mutating func scaled(_ value: Value, by factor: Double, _ dtype: DType) throws -> Value {
    try emit(.binary(.multiply), value, try number(factor, dtype))
  }

  private mutating func sum(_ value: Value, rank: Int) throws -> Value {
    try emit(.reduce(.sum, axes: Array(0..<rank), keepsAxes: false), value)
  }

  private mutating func reduced(_ value: Value, rank: Int, reduction: LossReduction) throws -> Value {
    try emit(.reduce(reduction == .mean ? .mean : .sum, axes: Array(0..<rank), keepsAxes: false), value)
  }
}
