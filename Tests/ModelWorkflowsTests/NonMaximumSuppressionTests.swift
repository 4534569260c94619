import TestSupport
import Testing

@testable import ModelWorkflows

@Suite struct NonMaximumSuppressionTests {
  /// torchvision.ops.nms of these boxes and scores gives [3, 0, 4] at 0.5 and [3, 0, 1, 4] at 0.7: boxes 0 and 1 overlap by 2/3, 2 and 3 by
  /// 0.81.
  static let boxes = [
    Box(0, 0, 10, 10), Box(2, 0, 12, 10), Box(21, 20, 30, 30), Box(20, 20, 30, 30), Box(50, 50, 60, 60),
  ]
  static let scores: [Float] = [0.8, 0.7, 0.6, 0.9, 0.1]

  @Test func theBestIsKept() {
    #expect(nonMaximumSuppression(Self.boxes, scores: Self.scores, threshold: 0.5) == [3, 0, 4])
    #expect(nonMaximumSuppression(Self.boxes, scores: Self.scores, threshold: 0.7) == [3, 0, 1, 4])
    #expect(nonMaximumSuppression(Self.boxes, scores: Self.scores, threshold: 0.5, limit: 1) == [3])
    #expect(nonMaximumSuppression([], scores: [], threshold: 0.5) == [])
  }

  @Test func anOverlapOfTheThresholdIsKept() {
    let boxes = [Box(0, 0, 2, 1), Box(1, 0, 2, 1)]
    #expect(boxes[0].overlap(with: boxes[1]) == 0.5)
    #expect(nonMaximumSuppression(boxes, scores: [1, 0.5], threshold: 0.5) == [0, 1])
    #expect(nonMaximumSuppression(boxes, scores: [1, 0.5], threshold: 0.49) == [0])
  }

  @Test func equalScoresStayInOrderAndNaNComesLast() {
    let apart = (0..<4).map { Box(Float($0) * 10, 0, Float($0) * 10 + 5, 5) }
    #expect(nonMaximumSuppression(apart, scores: [0.5, 0.5, .nan, 0.6], threshold: 0.5) == [3, 0, 1, 2])
  }

  @Test func emptyBoxesOverlapNothing() {
    #expect(nonMaximumSuppression([Box(1, 1, 1, 1), Box(1, 1, 1, 1)], scores: [1, 1], threshold: 0.5) == [0, 1])
  }

  /// The rule itself: all are compared with all, apart by class.
  private func slow(_ boxes: [Box], _ classes: [Int], _ offset: Float, _ threshold: Double, _ limit: Int) -> [Int] {
    let apart = zip(boxes, classes).map { box, classIndex in
      let shift = Float(classIndex) * offset
      return Box(box.x1 + shift, box.y1 + shift, box.x2 + shift, box.y2 + shift)
    }
    var kept: [Int] = []
    for index in apart.indices where kept.count < limit {
      if kept.allSatisfy({ !(Double(apart[$0].overlap(with: apart[index])) > threshold) }) { kept.append(index) }
    }
    return kept
  }

  @Test(arguments: [40, 7680, 0] as [Float]) func classesAreApart(offset: Float) {
    var numbers = Generator(5)
    for round in 0..<20 {
      let boxes = (0..<300).map { _ in
        let (x, y) = (Float.random(in: -20..<200, using: &numbers), Float.random(in: -20..<200, using: &numbers))
        // Some are upside down, as a network without training gives them.
        let (w, h) = (Float.random(in: -4..<60, using: &numbers), Float.random(in: -4..<60, using: &numbers))
        return Box(x, y, x + w, y + h)
      }
      let classes = boxes.map { _ in Int.random(in: 0..<4, using: &numbers) }
      for limit in [7, 1000] {
        let found = nonMaximumSuppression(
          sorted: boxes, classes: classes, offset: offset, threshold: 0.3, limit: limit)
        #expect(found == slow(boxes, classes, offset, 0.3, limit), "\(round)")
      }
    }
  }

  @Test func turnedBoxes() {
    let boxes = [
      RotatedBox(x: 10, y: 10, width: 8, height: 4, angle: 0),
      RotatedBox(x: 10, y: 10, width: 4, height: 8, angle: .pi / 2),
      RotatedBox(x: 10, y: 10, width: 8, height: 4, angle: .pi / 2),
      RotatedBox(x: 40, y: 10, width: 8, height: 4, angle: 0),
    ]
    // The second is the first, written otherwise; the third crosses it: 0.553 by Ultralytics' probiou.
    let all = { (threshold: Double) in
      nonMaximumSuppression(rotated: boxes, scores: [0.9, 0.8, 0.7, 0.6], classes: [0, 0, 0, 0], threshold: threshold)
    }
    #expect(all(0.6) == [0, 2, 3])
    #expect(all(0.5) == [0, 3])
    let other = nonMaximumSuppression(
      rotated: boxes, scores: [0.9, 0.8, 0.7, 0.6], classes: [0, 1, 2, 3], threshold: 0.1)
    #expect(other == [0, 1, 2, 3])
  }

  @Test func cornersGoAround() {
    let corners = RotatedBox(x: 10, y: 20, width: 4, height: 2, angle: 0).corners
    #expect(corners == [Corner(x: 12, y: 21), Corner(x: 12, y: 19), Corner(x: 8, y: 19), Corner(x: 8, y: 21)])
  }
}
