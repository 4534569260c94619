import Foundation
import ModelDetection
import TestSupport
import Testing

@Suite struct BoxOverlapTests {
  @Test func asTorchsWithItsDerivatives() throws {
    let cases = try golden("overlaps.json")["cases"] as? [[Any]] ?? []
    #expect(cases.count > 1000)
    for item in cases {
      let numbers = item.compactMap { ($0 as? NSNumber)?.doubleValue }
      let form = try #require(BoxOverlap.Form(rawValue: item[0] as? String ?? ""))
      let family = try #require(item[1] as? String)
      let target = CornerBox(numbers[4], numbers[5], numbers[6], numbers[7])
      let found =
        switch family {
        case "yolov5":
          BoxOverlap(form, epsilon: 1e-7, heightEpsilon: 0).gradient(
            centerX: numbers[0], centerY: numbers[1], width: numbers[2], height: numbers[3], target)
        default:
          BoxOverlap(form, epsilon: family == "yolov6" ? 1e-10 : 1e-7).gradient(
            CornerBox(numbers[0], numbers[1], numbers[2], numbers[3]), target)
        }
      #expect(abs(found.value - numbers[8]) <= 1e-12 * max(1, abs(numbers[8])), "\(item)")
      for side in 0..<4 {
        let expected = numbers[9 + side]
        #expect(abs(found.gradient[side] - expected) <= 1e-11 * max(1, abs(expected)), "side \(side) of \(item)")
      }
    }
  }

  @Test(arguments: BoxOverlap.Form.allCases) func derivativesAreDifferences(form: BoxOverlap.Form) {
    var generator = Generator(7)
    let overlap = BoxOverlap(form)
    for _ in 0..<200 {
      func box() -> CornerBox {
        let (x, y) = (Double.random(in: 0...9, using: &generator), Double.random(in: 0...9, using: &generator))
        let (w, h) = (Double.random(in: 1...8, using: &generator), Double.random(in: 1...8, using: &generator))
        return CornerBox(centerX: x, centerY: y, width: w, height: h)
      }
      let (given, target) = (box(), box())
      let (value, gradient) = overlap.gradient(given, target)
      #expect(value == overlap(given, target))
      // The weight of the aspects is constant in the derivative, so CIoU's is none of differences.
      if form == .ciou { continue }
      let step = 1e-6
      for side in 0..<4 {
        func moved(_ by: Double) -> Double {
          var box = given
          switch side {
          case 0: box.x1 += by
          case 1: box.y1 += by
          case 2: box.x2 += by
          default: box.y2 += by
          }
          return overlap(box, target)
        }
        let difference = (moved(step) - moved(-step)) / (2 * step)
        #expect(abs(gradient[side] - difference) <= 1e-7 * max(1, abs(difference)), "\(form) \(given) \(target)")
      }
    }
  }

  @Test(arguments: BoxOverlap.Form.allCases) func isHighestForEqualBoxes(form: BoxOverlap.Form) {
    let box = CornerBox(1, 2, 5, 9)
    let overlap = BoxOverlap(form)
    #expect(abs(overlap(box, box) - 1) < 1e-9)
    let apart = CornerBox(20, 2, 24, 9)
    let farther = CornerBox(40, 2, 44, 9)
    #expect(overlap(apart, box) <= 0)
    #expect(form == .iou ? overlap(farther, box) == 0 : overlap(farther, box) < overlap(apart, box))
  }
}
