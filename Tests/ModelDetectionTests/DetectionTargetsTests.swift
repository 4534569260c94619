import ModelCore
import ModelDetection
import TestSupport
import Testing

@Suite struct DetectionTargetsTests {
  @Test func rowsAreTheOriginals() throws {
    let tensor = try Tensor([0, 3, 0.5, 0.25, 0.125, 1, 1, 0, 0, 1, 0.5, 0.5] as [Float], [2, 6])
    let targets = try DetectionTargets(tensor)
    #expect(
      targets.rows[0]
        == DetectionTargets.Row(picture: 0, classIndex: 3, centerX: 0.5, centerY: 0.25, width: 0.125, height: 1))
    #expect(targets.rows.count == 2 && targets.rows[1].picture == 1)
    #expect(try DetectionTargets(Tensor(.float32, [0, 6])).rows.isEmpty)
  }

  @Test func refusesWhatIsNoBox() throws {
    #expect(refusal { _ = try DetectionTargets(Tensor(.float32, [2, 5])) }?.contains("[2, 5]") == true)
    for bad: Float in [0.5, .nan, .infinity, 1e30] {
      let tensor = try Tensor([bad, 0, 0, 0, 0, 0] as [Float], [1, 6])
      #expect(refusal { _ = try DetectionTargets(tensor) }?.contains("whole numbers") == true)
    }
    func refused(_ row: DetectionTargets.Row) throws -> String? {
      let loss = try YOLOv6Loss(classes: 2, strides: [8])
      let outputs = [try Tensor(.float32, [1, 1, 2]), try Tensor(.float32, [1, 1, 4])]
      return refusal { _ = try loss(outputs, DetectionTargets([row]), height: 8, width: 8, epoch: 0) }
    }
    typealias Row = DetectionTargets.Row
    #expect(try refused(Row(picture: 0, classIndex: 1, centerX: 0, centerY: 1, width: 0, height: 0)) == nil)
    for picture in [-1, 1, .max] {
      let row = Row(picture: picture, classIndex: 0, centerX: 0, centerY: 0, width: 1, height: 1)
      #expect(try refused(row)?.contains("targets: row 0 is of picture \(picture)") == true)
    }
    for classIndex in [-1, 2, .min] {
      let row = Row(picture: 0, classIndex: classIndex, centerX: 0, centerY: 0, width: 1, height: 1)
      #expect(try refused(row)?.contains("is of class \(classIndex)") == true)
    }
    for (x, side) in [(Double.nan, 1), (1e300, 1), (0, -1), (0, .infinity)] {
      let row = Row(picture: 0, classIndex: 0, centerX: x, centerY: 0, width: side, height: 1)
      #expect(try refused(row)?.contains("has the box") == true)
    }
  }

  /// The originals take them for places that are empty.
  @Test func boxesBeforeTheFirstCornerDoNotCount() throws {
    let loss = try YOLOv6Loss(classes: 1, strides: [8])
    let outputs = [try Drawn.output("scores", 1, [1, 4, 1]), try Drawn.output("distances", 2, [1, 4, 4])]
    func total(_ x: Double) throws -> DetectionLoss {
      let row = DetectionTargets.Row(picture: 0, classIndex: 0, centerX: x, centerY: x, width: 2, height: 2)
      return try loss(outputs, DetectionTargets([row]), height: 16, width: 16, epoch: 0)
    }
    let none = try loss(outputs, DetectionTargets(), height: 16, width: 16, epoch: 0)
    #expect(try total(-0.5).total == none.total)
    #expect(try total(0.5).total != none.total)
  }
}
