import ModelCore

/// How often each class was taken for each: counts by true and predicted class.
public struct ConfusionMatrix: Sendable, Hashable {
  /// How many classes there are.
  public let classCount: Int
  /// Rows of true classes.
  private var counts: [Int]

  /// The most classes that a matrix may have.
  public static let classLimit = 4096

  /// No counts.
  /// - Throws: `ModelError` for less than one class or more than `classLimit`.
  public init(classCount: Int) throws {
    guard (1...Self.classLimit).contains(classCount) else {
      throw ModelError(.invalid, "a confusion matrix has 1 to \(Self.classLimit) classes, not \(classCount)")
    }
    self.classCount = classCount
    counts = [Int](repeating: 0, count: classCount * classCount)
  }

  /// How many things of a class were predicted as another; both must be below `classCount`.
  public subscript(true truth: Int, predicted prediction: Int) -> Int {
    precondition((0..<classCount).contains(truth) && (0..<classCount).contains(prediction), "no such class")
    return counts[truth * classCount + prediction]
  }

  /// Counts one prediction.
  /// - Throws: `ModelError` for a class that is not below `classCount`.
  public mutating func add(true truth: Int, predicted prediction: Int) throws {
    try add(true: [truth], predicted: [prediction])
  }

  /// Counts one prediction so many times.
  /// - Throws: `ModelError` for a class that is not below `classCount`, and a negative count.
  public mutating func add(true truth: Int, predicted prediction: Int, count: Int) throws {
    for index in [truth, prediction] where !(0..<classCount).contains(index) {
      throw ModelError(.invalid, "\(index) is no class: there are \(classCount)")
    }
    guard count >= 0 else { throw ModelError(.invalid, "nothing is counted \(count) times") }
    counts[truth * classCount + prediction] += count
  }

  /// Counts a batch; where it throws, nothing of it is counted.
  /// - Throws: `ModelError` for lists of different lengths, and classes that are not below `classCount`.
  public mutating func add(true truths: [Int], predicted predictions: [Int]) throws {
    guard truths.count == predictions.count else {
      throw ModelError(.mismatch, "\(truths.count) true classes go with as many predictions, not \(predictions.count)")
    }
    for list in [truths, predictions] {
      for index in list where !(0..<classCount).contains(index) {
        throw ModelError(.invalid, "\(index) is no class: there are \(classCount)")
      }
    }
    for (truth, prediction) in zip(truths, predictions) { counts[truth * classCount + prediction] += 1 }
  }

  /// Adds another's counts, as of another rank.
  /// - Throws: `ModelError` for another number of classes.
  public mutating func add(_ other: ConfusionMatrix) throws {
    guard other.classCount == classCount else {
      throw ModelError(.mismatch, "matrices of \(classCount) and \(other.classCount) classes cannot be added")
    }
    for index in counts.indices { counts[index] += other.counts[index] }
  }

  // MARK: Figures

  /// How many predictions were counted.
  public var total: Int { counts.reduce(0, +) }
  /// How many of them were right.
  public var correct: Int { (0..<classCount).reduce(0) { $0 + self[true: $1, predicted: $1] } }
  /// The share of right predictions; nil where there is none at all.
  public var accuracy: Double? { Self.share(correct, total) }

  /// How many things of each true class there were.
  public var trueCounts: [Int] {
    (0..<classCount).map { row in counts[row * classCount..<(row + 1) * classCount].reduce(0, +) }
  }

  /// How often each class was predicted.
  public var predictedCounts: [Int] {
    (0..<classCount).map { column in (0..<classCount).reduce(0) { $0 + counts[$1 * classCount + column] } }
  }

  /// Of what was predicted as each class, the share that is of it; nil for a class that was never predicted.
  public var precision: [Double?] {
    predictedCounts.enumerated().map { Self.share(self[true: $0, predicted: $0], $1) }
  }

  /// Of the things of each class, the share that was predicted as it; nil for a class without things.
  public var recall: [Double?] {
    trueCounts.enumerated().map { Self.share(self[true: $0, predicted: $0], $1) }
  }

  /// The pairs of different classes that were mistaken most often, most often first, then in the order of the classes.
  public func mistakes(limit: Int) -> [Mistake] {
    var found: [Mistake] = []
    for (index, count) in counts.enumerated() where count > 0 && index / classCount != index % classCount {
      found.append(Mistake(truth: index / classCount, prediction: index % classCount, count: count))
    }
    found.sort { ($1.count, $0.truth, $0.prediction) < ($0.count, $1.truth, $1.prediction) }
    return Array(found.prefix(max(0, limit)))
  }

  /// Things of one class that were taken for another.
  public struct Mistake: Sendable, Hashable {
    /// The true class.
    public let truth: Int
    /// The predicted class.
    public let prediction: Int
    /// How many there were, at least one.
    public let count: Int
  }

  private static func share(_ part: Int, _ whole: Int) -> Double? {
    whole > 0 ? Double(part) / Double(whole) : nil
  }
}
