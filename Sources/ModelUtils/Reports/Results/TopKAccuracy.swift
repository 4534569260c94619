import ModelCore

/// The place of each target among the classes by score, 0 for the highest: a target below k is among the top k.
///
/// Of equal scores the lower class comes first, and NaN is the highest of all, as torch's `argmax` has it; which of
/// equal scores torch's `topk` takes is not defined.
/// - Parameters:
///   - scores: [samples, classes] of a floating type.
///   - targets: the class of each sample.
/// - Throws: `ModelError` for another shape or type, and targets that are no classes.
public func targetRanks(_ scores: Tensor, targets: [Int]) throws -> [Int] {
  let classes = try classCount(scores)
  guard targets.count == scores.shape[0] else {
    throw ModelError(.mismatch, "\(scores.shape[0]) samples have as many targets, not \(targets.count)")
  }
  let values = try scores.converted(to: .float64).elements(of: Double.self)
  return try targets.enumerated().map { sample, target in
    guard (0..<classes).contains(target) else {
      throw ModelError(.invalid, "\(target) is no class: there are \(classes)")
    }
    let row = values[sample * classes..<(sample + 1) * classes]
    let own = row[row.startIndex + target]
    return row.enumerated().count { index, value in
      isAbove(value, own) || (index < target && !isAbove(own, value))
    }
  }
}

/// The share of samples whose target is among the k highest scores; 0 for no samples. With k above the number of
/// classes every target is.
/// - Parameters:
///   - scores: [samples, classes] of a floating type.
///   - targets: the class of each sample.
///   - k: at least 1.
/// - Throws: as `targetRanks`, and for k below 1.
public func topKAccuracy(_ scores: Tensor, targets: [Int], k: Int = 1) throws -> Double {
  guard k >= 1 else { throw ModelError(.invalid, "the top \(k) are none: k is at least 1") }
  let ranks = try targetRanks(scores, targets: targets)
  return ranks.isEmpty ? 0 : Double(ranks.count { $0 < k }) / Double(ranks.count)
}

/// The class with the highest score of each sample, the first of equal ones, NaN being the highest: torch's
/// `argmax(1)`.
/// - Parameter scores: [samples, classes] of a floating type.
/// - Throws: `ModelError` for another shape or type.
public func predictedClasses(_ scores: Tensor) throws -> [Int] {
  let classes = try classCount(scores)
  let values = try scores.converted(to: .float64).elements(of: Double.self)
  return (0..<scores.shape[0]).map { sample in
    let row = values[sample * classes..<(sample + 1) * classes]
    return row.indices.dropFirst().reduce(row.startIndex) { isAbove(row[$1], row[$0]) ? $1 : $0 } - row.startIndex
  }
}

private func isAbove(_ one: Double, _ other: Double) -> Bool { one.isNaN ? !other.isNaN : one > other }

private func classCount(_ scores: Tensor) throws -> Int {
  guard scores.shape.count == 2, scores.shape[1] > 0, scores.dtype.isFloatingPoint else {
    throw ModelError(
      .mismatch, "scores are [samples, classes] of a floating type, not \(scores.dtype.rawValue) \(scores.shape)")
  }
  return scores.shape[1]
}
