import Foundation
import ModelAutograd
import ModelCore
import ModelGraph
import ModelTraining
import TestSupport
import Testing

@Suite struct LossesTests {
  @Test func asTorchsInDouble() throws {
    let cases = try golden("losses.json")["cases"] as? [[String: Any]] ?? []
    #expect(cases.count == 25)
    for item in cases { try check(item) }
  }

  private func check(_ item: [String: Any]) throws {
    func numbers(_ key: String) -> [Double] { (item[key] as? [NSNumber])?.map(\.doubleValue) ?? [] }
    func number(_ key: String) -> Double? { (item[key] as? NSNumber)?.doubleValue }
    let name = try #require(item["name"] as? String)
    let shape = numbers("shape").map { Int($0) }
    let reduction = try #require(LossReduction(rawValue: item["reduction"] as? String ?? ""))
    let isOfClasses = name == "crossEntropy"
    var graph = Graph()
    let scores = graph.addInput("scores")
    let targets = graph.addInput("targets")
    let rank = shape.count
    let loss =
      switch name {
      case "crossEntropy":
        try graph.crossEntropy(
          scores, targets, classes: shape[1], rank: rank,
          weights: item["weights"] is [NSNumber] ? numbers("weights") : nil, smoothing: number("smoothing") ?? 0,
          dtype: .float64, reduction: reduction)
      case "binaryCrossEntropy":
        try graph.binaryCrossEntropy(
          scores, targets, rank: rank, positiveWeight: number("positiveWeight"), dtype: .float64, reduction: reduction)
      case "squaredError": try graph.squaredError(scores, targets, rank: rank, reduction: reduction)
      case "absoluteError": try graph.absoluteError(scores, targets, rank: rank, reduction: reduction)
      case "smoothAbsoluteError":
        try graph.smoothAbsoluteError(
          scores, targets, rank: rank, beta: number("beta") ?? 1, dtype: .float64, reduction: reduction)
      default:
        try graph.focalLoss(
          scores, targets, rank: rank, alpha: number("alpha"), gamma: number("gamma") ?? 2, dtype: .float64,
          reduction: reduction)
      }
    let targetShape = isOfClasses ? [shape[0]] + shape.dropFirst(2) : shape
    let types = [TensorType(.float64, shape), TensorType(isOfClasses ? .int64 : .float64, targetShape)]
    let training = try graph.gradients(of: loss, for: types, ofInputs: true)
    let inputs = [
      try Tensor(numbers("scores"), shape), try Tensor(numbers("targets"), targetShape).cast(to: types[1].dtype),
    ]
    let gradient = try #require(training.inputGradients[0])
    let found = try training.graph.reference(inputs, of: [training[loss], gradient])
    let value = try found[0].doubles()[0]
    let expected = try #require(number("loss"))
    // Roundings of double in some dozen operations.
    #expect(abs(value - expected) <= 1e-12 * max(1, abs(expected)), "\(name)")
    for (ours, theirs) in zip(try found[1].doubles(), numbers("gradient")) {
      #expect(abs(ours - theirs) <= 1e-12, "\(name) \(item["reduction"] ?? "")")
    }
  }

  @Test func refusesWhatDoesNotFit() throws {
    var graph = Graph()
    let (scores, labels) = (graph.addInput("scores"), graph.addInput("labels"))
    #expect(
      refusal { _ = try graph.crossEntropy(scores, labels, classes: 3, weights: [1, 2]) }?.contains("as many weights")
        == true)
    #expect(
      refusal { _ = try graph.crossEntropy(scores, labels, classes: 3, smoothing: 2) }?.contains("smoothing") == true)
    #expect(
      refusal { _ = try graph.smoothAbsoluteError(scores, labels, rank: 1, beta: 0) }?.contains("beta") == true)
  }
}
