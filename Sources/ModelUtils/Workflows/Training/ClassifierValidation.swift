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
  ///   - progress: is told how many pictures are done.
  /// - Throws: `ModelError` for a network whose forward is not known or does not tell the set's classes apart, and for
  ///   pictures that cannot be read.
  public func evaluate(
    on set: ClassificationSet, _ preprocessing: PicturePreprocessing, batchSize: Int = 64,
    progress: (Int) -> Void = { _ in }
  ) throws -> ClassificationScores {
    let classes = set.classNames.count
    let loader = try BatchLoader(set, preprocessing)
    let batches = try loader.batches(
      epoch: 0, try SampleOrder.batches(Array(0..<set.count), size: min(batchSize, set.count)))
    defer { batches.stop() }
    var sessions: [[Int]: Session] = [:]
    var tally = ScoreTally(classes: classes)
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
      try tally.add(try outputs[0].floats(), batch.labels)
      progress(tally.predictions.count)
    }
    return tally.scores
  }
}

/// Counts how scores compare with labels.
struct ScoreTally {
  let classes: Int
  private(set) var predictions: [Int] = []
  private var (loss, right, nearlyRight) = (0.0, 0, 0)
  private var confusion: [[Int]]

  init(classes: Int) {
    self.classes = classes
    confusion = [[Int]](repeating: [Int](repeating: 0, count: classes), count: classes)
  }

  /// - Parameter scores: [labels, classes].
  mutating func add(_ scores: [Float], _ labels: [Int]) throws {
    for (row, label) in labels.enumerated() {
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
      confusion[label][prediction] += 1
      predictions.append(prediction)
    }
  }

  var scores: ClassificationScores {
    let count = max(predictions.count, 1)
    return ClassificationScores(
      count: predictions.count, loss: loss / Double(count), top1: Double(right) / Double(count),
      top5: Double(nearlyRight) / Double(count), confusion: confusion, predictions: predictions)
  }
}
