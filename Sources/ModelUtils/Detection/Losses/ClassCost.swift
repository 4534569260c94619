import ModelCore

/// What the scores of classes cost.
enum ClassCost: Sendable, Hashable {
  /// YOLOv6's, of scores behind the sigmoid: a binary cross entropy that counts as much as the class is wanted, and
  /// elsewhere ¾ of the score's square.
  case varifocal
  /// YOLOv8's, of scores before the sigmoid.
  case binaryCrossEntropy

  /// A score as a probability.
  func probability(_ score: Double) -> Double {
    switch self {
    case .varifocal: score
    case .binaryCrossEntropy: 1 / (1 + CMath.exp(-score))
    }
  }

  /// - Throws: `ModelError` for a probability that is none.
  func check<Element: LossElement>(_ scores: UnsafeBufferPointer<Element>, subject: String) throws {
    guard self == .varifocal, let other = scores.first(where: { $0 < 0 || $0 > 1 }) else { return }
    throw ModelError(
      .invalid, "has the score \(other), but scores behind a sigmoid are 0 to 1", subject: subject)
  }

  /// The cost of all scores of a picture, and its derivatives times `factor`.
  func cost<Element: LossElement>(
    _ scores: AnchorValues<Element>, _ targets: [TargetBox], _ assigned: [AnchorAssignment], factor: Double,
    gradients: AnchorGradients<Element>
  ) -> Double {
    var total = 0.0
    for index in scores.values.indices {
      let (cost, slope) = background(Double(scores.values[index]))
      total += cost
      gradients.values[index] = Element(slope * factor)
    }
    for positive in assigned {
      let classIndex = targets[positive.target].classIndex
      let score = scores[positive.anchor, classIndex]
      let (cost, slope) = wanted(score, positive.score)
      total += cost - background(score).cost
      gradients.set(positive.anchor, classIndex, slope * factor)
    }
    return total
  }

  private func background(_ score: Double) -> (cost: Double, slope: Double) {
    switch self {
    case .varifocal:
      // torch bounds the logarithm in the value, and the denominator in the derivative.
      let entropy = -max(CMath.log1p(-score), -100)
      let weight = 0.75 * score * score
      return (weight * entropy, 1.5 * score * entropy + weight * score / max(score * (1 - score), 1e-12))
    case .binaryCrossEntropy:
      let power = CMath.exp(-abs(score))
      return (max(score, 0) + CMath.log1p(power), (score >= 0 ? 1 : power) / (1 + power))
    }
  }

  private func wanted(_ score: Double, _ target: Double) -> (cost: Double, slope: Double) {
    switch self {
    case .varifocal:
      let entropy = -(target * max(CMath.log(score), -100) + (1 - target) * max(CMath.log1p(-score), -100))
      return (target * entropy, target * (score - target) / max(score * (1 - score), 1e-12))
    case .binaryCrossEntropy:
      let (cost, slope) = background(score)
      return (cost - score * target, slope - target)
    }
  }
}
