import ModelCore
import ModelDetection
import TestSupport
import Testing

/// What losses refuse, and pictures smaller than the originals can have.
@Suite struct DetectionObjectiveTests {
  private func refused(
    _ loss: any DetectionObjective, _ outputs: [Tensor], height: Int = 32, width: Int = 32
  ) -> String? {
    refusal { _ = try loss(outputs, DetectionTargets(), height: height, width: width, epoch: 0) }
  }

  @Test func outputsOfOtherShapes() throws {
    let loss = try YOLOv6Loss(classes: 2)
    let (scores, boxes) = (try Tensor(.float32, [3, 21, 2]), try Tensor(.float32, [3, 21, 4]))
    #expect(refused(loss, [scores, boxes]) == nil)
    #expect(refused(loss, [scores])?.contains("takes 2 outputs (scores, distances), not 1") == true)
    #expect(refused(loss, [boxes, scores])?.contains("scores: has shape [3, 21, 4], not [pictures, 21, 2]") == true)
    #expect(refused(loss, [scores, boxes], width: 64)?.contains("[pictures, 42, 2]") == true)
    #expect(refused(loss, [scores, boxes], width: 33)?.contains("whole cells") == true)
    #expect(refused(loss, [scores, try Tensor(.float32, [2, 21, 4])])?.contains("distances: has shape") == true)
    #expect(
      refused(loss, [try Tensor(.float32, [0, 21, 2]), try Tensor(.float32, [0, 21, 4])])?.contains("shape") == true)
    #expect(refused(loss, [try Tensor(.int64, [3, 21, 2]), boxes])?.contains("no floating type") == true)
    #expect(refused(loss, [try scores.converted(to: .float16), boxes]) == nil)
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity]) func outputsThatAreNotFinite(bad: Float) throws {
    func tensor(_ shape: [Int], bad place: Int? = nil) throws -> Tensor {
      var values = [Float](repeating: 0.5, count: shape.reduce(1, *))
      if let place { values[place] = bad }
      return try Tensor(values, shape)
    }
    let losses: [(any DetectionObjective, [[Int]], [String])] = [
      (
        try YOLOv6Loss(classes: 2, strides: [32], fusesAnchors: true),
        [[2, 3, 2], [2, 3, 4], [2, 1, 2], [2, 1, 4]], ["anchors' scores", "anchors' boxes", "scores", "distances"]
      ),
      (try YOLOv8Loss(classes: 2, strides: [32]), [[2, 64, 1], [2, 2, 1]], ["boxes", "scores"]),
      (
        try YOLOv5Loss(classes: 2, strides: [32], anchors: [[SIMD2(9, 9)]]), [[2, 1, 1, 1, 7]], ["level of stride 32"]
      ),
    ]
    for (loss, shapes, names) in losses {
      #expect(refused(loss, try shapes.map { try tensor($0) }) == nil)
      for (index, name) in names.enumerated() {
        let outputs = try shapes.enumerated().map { try tensor($1, bad: $0 == index ? $1.reduce(1, *) - 1 : nil) }
        #expect(refused(loss, outputs)?.contains("\(name): is not finite for picture 1") == true)
      }
    }
  }

  @Test func scoresThatAreNone() throws {
    let scores = try Tensor([0, 1, 1.5, 0] as [Float], [2, 1, 2])
    let said = refused(try YOLOv6Loss(classes: 2, strides: [32]), [scores, try Tensor(.float32, [2, 1, 4])])
    #expect(said?.contains("scores: has the score 1.5") == true)
  }

  @Test func numbersThatNoHeadHas() {
    #expect(refusal { _ = try YOLOv6Loss(classes: 0) }?.contains("classes") == true)
    #expect(refusal { _ = try YOLOv8Loss(classes: .max) }?.contains("classes") == true)
    #expect(refusal { _ = try YOLOv6Loss(classes: 1, bins: 1) }?.contains("bins") == true)
    #expect(refusal { _ = try YOLOv8Loss(classes: 1, bins: .max) }?.contains("bins") == true)
    #expect(refusal { _ = try YOLOv6Loss(classes: 1, smallestSum: -1) }?.contains("below 0") == true)
    #expect(refusal { _ = try YOLOv8Loss(classes: 1, candidates: 0) }?.contains("choose 0") == true)
    #expect(refusal { _ = try YOLOv5Loss(classes: 1, strides: [8]) }?.contains("belong together") == true)
    #expect(
      refusal { _ = try YOLOv5Loss(classes: 1, strides: [8], anchors: [[SIMD2(0, 1)]]) }?.contains("above 0") == true)
    #expect(refusal { _ = try YOLOv5Loss(classes: 1, labelSmoothing: 2) }?.contains("smoothed") == true)
    #expect(refusal { _ = try YOLOv5Loss(classes: 1, anchorThreshold: .nan) }?.contains("threshold") == true)
    #expect(refusal { _ = try YOLOv5Loss(classes: 1, objectnessWeight: -1) }?.contains("objectness") == true)
  }

  /// The originals throw for levels of fewer cells than a box chooses.
  @Test func picturesOfAFewCells() throws {
    let targets = Drawn.targets(5, [3, 0, 1], classes: 2, spread: false)
    for warmup in [0, 1] {
      let loss = try YOLOv6Loss(classes: 2, strides: [16, 32], warmupEpochs: warmup)
      let outputs = [try Drawn.output("scores", 1, [3, 5, 2]), try Drawn.output("distances", 2, [3, 5, 4])]
      let found = try loss(outputs, targets, height: 32, width: 32, epoch: 0)
      #expect(found.total.isFinite && found.total > 0)
    }
  }

  /// After the release 0.4.0 a small sum of scores divides nothing, but in the branch with anchors.
  @Test func sumsUpToOne() throws {
    let outputs = [try Drawn.output("scores", 1, [1, 4, 1]), try Drawn.output("distances", 2, [1, 4, 4])]
    let targets = Drawn.targets(5, [1], classes: 1, spread: false)
    func found(_ smallestSum: Double) throws -> DetectionLoss {
      try YOLOv6Loss(classes: 1, strides: [16], smallestSum: smallestSum)(
        outputs, targets, height: 32, width: 32, epoch: 0)
    }
    let (first, later) = (try found(0), try found(1))
    #expect(first.items[0].value > 0 && later.items[0].value > 0)
    // Both parts by the same sum.
    let ratios = [0, 2].map { later.items[$0].value / first.items[$0].value }
    #expect(abs(ratios[0] - ratios[1]) < 1e-12 && ratios[0] < 1)
  }

  @Test func gainsOfYOLOv5GoWithTheHead() {
    let gains = YOLOv5Loss.Gains().scaled(levels: 4, classes: 20, imageSize: 1280)
    #expect(
      abs(gains.box - 0.0375) < 1e-15 && abs(gains.objectness - 3) < 1e-15 && abs(gains.classes - 0.09375) < 1e-15)
  }
}
