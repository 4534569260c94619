import ModelArchitectures
import ModelCore
import ModelData
import ModelEngine
import ModelGraph

/// How well a classifier does on a set.
public struct ClassificationScores: Codable, Sendable, Hashable {
  /// How many pictures.
  public let count: Int
  /// The mean cross entropy, without smoothing.
  public let loss: Double
  /// The share whose most probable class is right, and whose five most probable ones hold the right one.
  public let top1, top5: Double
  /// Pictures by true class (rows) and most probable class.
  public let confusion: [[Int]]
  /// The most probable class of each picture, in the set's order.
  public let predictions: [Int]
}

extension Module {
  /// What torch's evaluation loop finds: scores of every picture, in evaluation mode.
  /// - Parameters:
  ///   - preprocessing: what the network sees of a picture.
  ///   - communicator: the ranks that divide the pictures.
  ///   - progress: is told how many pictures are done here.
  /// - Throws: `ModelError` for a network whose forward is not known or does not tell the set's classes apart, and for
  ///   pictures that cannot be read.
  public func evaluate(
    on set: ClassificationSet, _ preprocessing: PicturePreprocessing, batchSize: Int = 64,
    communicator: any Communicator = SingleProcess(), progress: (Int) -> Void = { _ in }
  ) throws -> ClassificationScores {
    let timeout = ClassifierTraining.patience
    let all = try SampleOrder.batches(Array(0..<set.count), size: min(batchSize, set.count))
    let own = stride(from: communicator.rank, to: all.count, by: communicator.worldSize).map { all[$0] }
    let tally = try communicator.together(timeout: timeout) {
      try self.tally(of: own, set, preprocessing, progress: progress)
    }
    return try tally.sum(over: communicator, timeout: timeout).scores
  }

  private func tally(
    of batches: [[Int]], _ set: ClassificationSet, _ preprocessing: PicturePreprocessing, progress: (Int) -> Void
  ) throws -> ScoreTally {
    let classes = set.classNames.count
    let batches = try BatchLoader(set, preprocessing).batches(epoch: 0, batches)
    defer { batches.stop() }
    var sessions: [[Int]: Session] = [:]
    var tally = ScoreTally(set.labels, classes: classes)
    var done = 0
    while let batch = try batches.next() {
      if sessions[batch.shape] == nil {
        let types = [TensorType(.float32, batch.shape)]
        let graph = try Graph(self, inputs: types)
        let scores = try graph.types(of: types)
        guard let first = graph.outputs.first, scores[first].shape == [batch.shape[0], classes] else {
          throw ModelError(
            .mismatch,
            "gives \(graph.outputs.first.map { scores[$0].shape } ?? []), where there are \(classes) classes",
            advice: "take a network with as many outputs as the set has classes")
        }
        sessions[batch.shape] = try Session(Plan(graph, for: types, giving: [first]))
      }
      guard let outputs = try sessions[batch.shape]?.run([batch.tensor()]) else { break }
      try tally.add(try outputs[0].floats(), batch.indices)
      done += batch.indices.count
      progress(done)
    }
    return tally
  }
}

/// Counts how scores compare with labels.
struct ScoreTally {
  private let labels: [Int]
  private let classes: Int
  private var predictions: [Int]
  private var (loss, right, nearlyRight) = (0.0, 0, 0)

  /// - Parameter labels: of all pictures.
  init(_ labels: [Int], classes: Int) {
    (self.labels, self.classes) = (labels, classes)
    predictions = [Int](repeating: 0, count: labels.count)
  }

  /// - Parameter scores: [pictures, classes] of the pictures that have these places.
  mutating func add(_ scores: [Float], _ indices: [Int]) throws {
    for (row, index) in indices.enumerated() {
      let label = labels[index]
      let line = scores[row * classes..<(row + 1) * classes]
      guard let largest = line.max(), largest.isFinite else {
        throw ModelError(.invalid, "the network's scores are not finite")
      }
      let own = line[line.startIndex + label]
      let sum = line.reduce(0.0) { $0 + CMath.exp(Double($1 - largest)) }
      loss += Double(largest) + CMath.log(sum) - Double(own)
      // The first of equal ones is the most probable.
      let before = line.indices.count { line[$0] > own || (line[$0] == own && $0 < line.startIndex + label) }
      let prediction = (line.firstIndex(of: largest) ?? line.startIndex) - line.startIndex
      right += before == 0 ? 1 : 0
      nearlyRight += before < 5 ? 1 : 0
      predictions[index] = prediction
    }
  }

  /// With what the other ranks have found of the pictures that are not this one's.
  func sum(over ranks: any Communicator, timeout: Duration) throws -> ScoreTally {
    let own = predictions.map(Double.init) + [loss, Double(right), Double(nearlyRight)]
    let all = try ranks.sum(own, timeout: timeout)
    var result = self
    result.predictions = all.prefix(predictions.count).map { Int($0) }
    let rest = Array(all.suffix(3))
    (result.loss, result.right, result.nearlyRight) = (rest[0], Int(rest[1]), Int(rest[2]))
    return result
  }

  /// Of all pictures.
  var scores: ClassificationScores {
    let count = max(predictions.count, 1)
    var confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
    for (label, prediction) in zip(labels, predictions) { confusion[label][prediction] += 1 }
    return ClassificationScores(
      count: predictions.count, loss: loss / Double(count), top1: Double(right) / Double(count),
      top5: Double(nearlyRight) / Double(count), confusion: confusion, predictions: predictions)
  }
}
