import Foundation
import ModelCore
import ModelDetection
import TestSupport
import Testing

@Suite struct LossesTests {
  @Test(arguments: ["yolov6", "yolov8", "yolov5"]) func asTheOriginals(family: String) throws {
    let cases = (try golden("losses.json")["cases"] as? [[String: Any]] ?? []).filter {
      $0["family"] as? String == family
    }
    #expect(cases.count == ["yolov6": 45, "yolov8": 8, "yolov5": 7][family])
    for item in cases { try check(LossCase(item), item) }
  }

  private func check(_ drawn: LossCase, _ item: [String: Any]) throws {
    let loss = try drawn.objective(item)
    let found = try loss(drawn.outputs, drawn.targets, height: drawn.height, width: drawn.width, epoch: 0)
    let total = try #require(item["total"] as? Double)
    // Both in double.
    #expect(abs(found.total - total) <= 1e-10 * abs(total), "\(drawn.words)")
    let items = try #require(item["items"] as? [String: Double])
    #expect(found.items.count == items.count)
    for part in found.items {
      let expected = try #require(items[part.name])
      #expect(abs(part.value - expected) <= 1e-10 * max(1, abs(expected)), "\(part.name) \(drawn.words)")
    }
    let gradients = try #require(item["gradients"] as? [[String: Any]])
    try #require(found.gradients.count == gradients.count)
    for (index, (gradient, expected)) in zip(found.gradients, gradients).enumerated() {
      #expect(gradient.shape == drawn.outputs[index].shape)
      let values = try gradient.doubles()
      let norm = try #require(expected["norm"] as? Double)
      let products = try #require(expected["products"] as? [Double])
      // A rounding to float32 of every element.
      let tolerance = 1e-7 * norm
      #expect(abs(values.reduce(0) { $0 + $1 * $1 }.squareRoot() - norm) <= tolerance, "\(index) \(drawn.words)")
      for (place, product) in products.enumerated() {
        let vector = Drawn.uniforms(drawn.seed + 900 + 10 * index + place, values.count)
        let sum = zip(values, vector).reduce(0) { $0 + $1.0 * (Double($1.1) * 2 - 1) }
        #expect(abs(sum - product) <= tolerance, "gradient \(index) \(drawn.words)")
      }
    }
  }

  /// Whatever the number of threads.
  @Test func theSameBitsWithAnyThreads() throws {
    let loss = try YOLOv6Loss(classes: 3, bins: 5)
    let outputs = [
      try Drawn.output("scores", 1, [4, 84, 3]), try Drawn.output("logits", 2, [4, 84, 20]),
    ]
    let targets = Drawn.targets(3, [3, 4, 0, 9], classes: 3, spread: false)
    let found = try [1, 3].map { threads in
      try Parallel.$threadCount.withValue(threads) { try loss(outputs, targets, height: 64, width: 64, epoch: 0) }
    }
    #expect(found[0].total == found[1].total && found[0].items == found[1].items)
    for (one, other) in zip(found[0].gradients, found[1].gradients) { #expect(try one.isEqual(to: other)) }
  }

  /// The derivative of the whole by what was drawn, where no assignment changes.
  @Test func gradientsAreDifferences() throws {
    let losses: [(any DetectionObjective, [Tensor])] = [
      (
        try YOLOv6Loss(classes: 2, overlap: .siou, warmupEpochs: 1),
        [try Drawn.output("scores", 1, [1, 84, 2]), try Drawn.output("distances", 2, [1, 84, 4])]
      ),
      (
        try YOLOv8Loss(classes: 2, bins: 4),
        [try Drawn.output("logits", 1, [1, 16, 84]), try Drawn.output("logits", 2, [1, 2, 84])]
      ),
    ]
    let targets = Drawn.targets(3, [2], classes: 2, spread: false)
    for (loss, outputs) in losses {
      func total(_ outputs: [Tensor]) throws -> DetectionLoss {
        try loss(outputs, targets, height: 64, width: 64, epoch: 0)
      }
      let found = try total(outputs)
      // The sum of scores that are wanted moves with predictions, and counts as constant in the gradient: so only the
      // sign and the scale are asked for, at the element with the largest derivative.
      for index in outputs.indices {
        let gradient = try found.gradients[index].doubles()
        let place = try #require(gradient.indices.max { abs(gradient[$0]) < abs(gradient[$1]) })
        var values = try outputs[index].floats()
        let step: Float = gradient[place] > 0 ? -1e-3 : 1e-3
        values[place] += step
        var moved = outputs
        moved[index] = try Tensor(values, outputs[index].shape)
        #expect(try total(moved).total < found.total, "output \(index)")
      }
    }
  }
}

/// What the script drew.
struct LossCase {
  let seed, height, width, classes: Int
  let outputs: [Tensor]
  let targets: DetectionTargets
  let words: String

  init(_ item: [String: Any]) throws {
    func number(_ key: String) -> Int { item[key] as? Int ?? -1 }
    (seed, height, width, classes) = (number("seed"), number("height"), number("width"), number("classes"))
    outputs = try (item["outputs"] as? [[String: Any]] ?? []).enumerated().map { [seed] index, output in
      try Drawn.output(output["kind"] as? String ?? "", seed + index, output["shape"] as? [Int] ?? [])
    }
    targets = Drawn.targets(
      seed + 500, item["counts"] as? [Int] ?? [], classes: classes, spread: item["spread"] as? Bool ?? false)
    words = "\(item["family"] ?? "") \(seed)"
  }

  func objective(_ item: [String: Any]) throws -> any DetectionObjective {
    let strides = item["strides"] as? [Int] ?? []
    switch item["family"] as? String {
    case "yolov6":
      return try YOLOv6Loss(
        classes: classes, strides: strides, bins: item["bins"] as? Int,
        overlap: BoxOverlap.Form(rawValue: item["overlap"] as? String ?? "") ?? .iou,
        warmupEpochs: item["warmup"] as? Int ?? 0, fusesAnchors: item["fuses"] as? Bool ?? false)
    case "yolov8":
      return try YOLOv8Loss(classes: classes, strides: strides, bins: item["bins"] as? Int ?? 0)
    default:
      let weights = item["weights"] as? [Double] ?? []
      return try YOLOv5Loss(
        classes: classes, anchorThreshold: item["threshold"] as? Double ?? 0,
        labelSmoothing: item["smoothing"] as? Double ?? 0, classWeight: weights[0], objectnessWeight: weights[1])
    }
  }
}
