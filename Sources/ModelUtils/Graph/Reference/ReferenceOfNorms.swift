import ModelCore

/// Normalisations.
extension Reference {
  static func batchNorm(eps: Double, _ operands: [ReferenceArray]) -> [Double] {
    batchNorm(eps: eps, operands, mean: operands[3].values, variance: operands[4].values)
  }

  /// Divides by the batch's biased variance, while the running variance moves to the unbiased one: as PyTorch.
  static func batchNormInTraining(momentum: Double?, eps: Double, _ operands: [ReferenceArray]) throws -> [[Double]] {
    guard let momentum = momentum ?? operands.dropFirst(5).first.map({ 1 / ((($0.values.first) ?? 0) + 1) }) else {
      throw ModelError(
        .missing, "a batch norm whose momentum is None needs num_batches_tracked, which the graph does not have")
    }
    let input = operands[0]
    let view = AxisView(input.shape, axis: 1)
    let count = Double(view.outer * view.inner)
    var (means, variances): ([Double], [Double]) = ([], [])
    for channel in 0..<view.length {
      let places = (0..<view.outer).flatMap { outer in (0..<view.inner).map { view.place(outer, channel, $0) } }
      let (mean, variance) = moments(input.elements(at: places))
      means.append(mean)
      variances.append(variance)
    }
    func moved(_ old: [Double], _ batch: [Double]) -> [Double] { zip(old, batch).map { $0 + momentum * ($1 - $0) } }
    return [
      batchNorm(eps: eps, operands, mean: means, variance: variances),
      moved(operands[3].values, means),
      moved(operands[4].values, variances.map { $0 * count / (count - 1) }),
      means,
      variances.map { 1 / ($0 + eps).squareRoot() },
    ]
  }

  private static func batchNorm(
    eps: Double, _ operands: [ReferenceArray], mean: [Double], variance: [Double]
  ) -> [Double] {
    let (weight, bias) = (operands[1].values, operands[2].values)
    let scale = zip(weight, variance).map { $0 / ($1 + eps).squareRoot() }
    let inner = AxisView(operands[0].shape, axis: 1).inner
    return operands[0].values.enumerated().map { index, value in
      let channel = index / inner % mean.count
      return (value - mean[channel]) * scale[channel] + bias[channel]
    }
  }

  static func layerNorm(axes: Int, eps: Double, _ operands: [ReferenceArray]) -> [Double] {
    let size = Shape.count(operands[0].shape.suffix(axes))
    let normalised = standardised(operands[0].values, size: size, eps: eps)
    return scaled(normalised, operands.dropFirst().map(\.values)) { $0 % size }
  }

  static func rmsNorm(axes: Int, eps: Double?, _ operands: [ReferenceArray]) -> [Double] {
    let size = Shape.count(operands[0].shape.suffix(axes))
    let eps = eps ?? operands[0].type.dtype.epsilon
    var normalised = operands[0].values
    for start in stride(from: 0, to: normalised.count, by: max(size, 1)) {
      let row = start..<start + size
      let meanSquare = normalised[row].reduce(0) { $0 + $1 * $1 } / Double(size)
      for index in row { normalised[index] /= (meanSquare + eps).squareRoot() }
    }
    return scaled(normalised, operands.dropFirst().map(\.values)) { $0 % size }
  }

  static func groupNorm(groups: Int, eps: Double, _ operands: [ReferenceArray]) -> [Double] {
    let view = AxisView(operands[0].shape, axis: 1)
    let normalised = standardised(operands[0].values, size: view.length / groups * view.inner, eps: eps)
    return scaled(normalised, operands.dropFirst().map(\.values)) { $0 / view.inner % view.length }
  }

  /// Runs of `size` elements, each less its mean and divided by its biased deviation.
  private static func standardised(_ values: [Double], size: Int, eps: Double) -> [Double] {
    var result = values
    for start in stride(from: 0, to: values.count, by: max(size, 1)) {
      let row = start..<start + size
      let (mean, variance) = moments(values[row])
      for index in row { result[index] = (values[index] - mean) / (variance + eps).squareRoot() }
    }
    return result
  }

  /// Times the first of the weights, plus the second, where there are any.
  private static func scaled(_ values: [Double], _ weights: [[Double]], by place: (Int) -> Int) -> [Double] {
    guard let weight = weights.first else { return values }
    return values.enumerated().map { index, value in
      value * weight[place(index)] + (weights.count > 1 ? weights[1][place(index)] : 0)
    }
  }

  /// The mean and the biased variance.
  private static func moments(_ values: some Collection<Double>) -> (mean: Double, variance: Double) {
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count)
  }
}

extension DType {
  /// The distance from 1 to the next number; halves are computed in float32.
  var epsilon: Double { self == .float64 ? Double.ulpOfOne : Double(Float.ulpOfOne) }
}
