import Foundation
import ModelCore
import ModelImages
import TestSupport
import Testing

@testable import ModelWorkflows

@Suite struct DetectionTests {
  private func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  private let turned = Detection(
    classIndex: 1, className: "ship, large", score: 0.5, box: Box(0, 0, 4, 2),
    corners: [Corner(x: 4, y: 2), Corner(x: 4, y: 0), Corner(x: 0, y: 0), Corner(x: 0, y: 2)])

  @Test func encoding() throws {
    let found = Detection(
      classIndex: 3, className: "person", score: 0.25, box: Box(1, 2, 3.5, 4),
      keypoints: [Keypoint(x: 1, y: 2, confidence: 0.5)])
    #expect(
      try json(found) == #"{"box":[1,2,3.5,4],"class":3,"keypoints":[[1,2,0.5]],"name":"person","score":0.25}"#)
    #expect(
      try json(COCOResult(found, stem: "12", file: "12.jpg"))
        == #"{"bbox":[1,2,2.5,2],"category_id":3,"file_name":"12.jpg","image_id":12,"keypoints":[1,2,0.5],"score":0.25}"#
    )
    #expect(try json(COCOResult(turned, stem: "bus", file: "bus.jpg")).contains(#""image_id":"bus""#))
  }

  @Test func linesAndRows() {
    let found = Detection(classIndex: 0, className: "bus", score: 0.5, box: Box(10, 20, 30, 60))
    #expect(found.labelLine(size: [100, 200]) == "0 0.1 0.4 0.1 0.4")
    #expect(turned.labelLine(size: [4, 8]) == "1 0.5 0.5 0.5 0 0 0 0 0.5")
    #expect(turned.tableRow(file: "a.jpg") == #"a.jpg,1,"ship, large",0.5,0,0,4,2"#)
  }

  /// The texts are those of pycocotools.mask.encode, of rows 0110, 0100, 0000 and of a square in 100 x 90.
  @Test func masksAreRunsOfColumns() throws {
    let mask = Mask(size: [3, 4], counts: [3, 2, 1, 1, 5])
    #expect(mask.area == 3)
    var runs: [String] = []
    mask.forEachRun { runs.append("\($0): \($1)") }
    #expect(runs == ["1: 0..<2", "2: 0..<1"])
    #expect(mask.text == "321O4")
    let square = [2010] + (0..<49).flatMap { _ in [50, 50] } + [50, 2040]
    #expect(
      Mask(size: [100, 90], counts: square).text
        == #"jn1b1b10000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000Vn1"#
    )
  }

  @Test func namesOfClasses() {
    let names = ClassNames(["a", "b"])
    #expect(names[1] == "b" && names[2] == "class 2")
    var module = Module(ClassName("m", "Net"))
    #expect(ClassNames(of: module)[0] == "class 0")
    module.attributes["names"] = .dict([
      Attribute.Entry(key: .int(3), value: .string("x")), Attribute.Entry(key: .int(1), value: .int(7)),
    ])
    #expect(ClassNames(of: module)[3] == "x" && ClassNames(of: module)[1] == "class 1")
  }

  @Test func wayBack() {
    // 810 x 1080 fitted into 320 x 256: 240 wide, 8 on each side.
    let frame = PictureFrame(input: [320, 256], picture: [1080, 810])
    #expect(frame.offset == (8, 0) && frame.padding == (8, 0))
    let box = frame.place(Box(8, 0, 128, 400), by: .yolov5)
    #expect(box == Box(0, 0, 405, 1080))
    #expect(frame.place(Box(8, 0, 128, 400), by: .ultralytics) == Box(0, 0, 405, 1080))
    #expect(frame.place(Box(0, 0.5, 1, 1), by: .rtdetr) == Box(0, 540, 810, 1080))
  }

  @Test func drawingExactPixels() throws {
    let black = try ImageFile(pixels: Tensor(.uint8, [60, 80, 3]))
    let found = Detection(classIndex: 0, className: "é", score: 0.5, box: Box(20, 30, 60, 50))
    let picture = try drawn([found], on: black)
    let pixels = try picture.bytes().elements(of: UInt8.self)
    func pixel(_ x: Int, _ y: Int) -> [UInt8] { Array(pixels[(y * 80 + x) * 3..<(y * 80 + x) * 3 + 3]) }
    let color = Canvas.Color(ofClass: 0)
    #expect(pixel(59, 45) == [color.red, color.green, color.blue] && pixel(60, 45) == pixel(59, 45))
    #expect(pixel(61, 45) == [0, 0, 0] && pixel(40, 40) == [0, 0, 0])
    #expect(pixel(40, 50) == pixel(59, 45) && pixel(40, 51) == [0, 0, 0])
    #expect(try drawn([], on: black).bytes().elements(of: UInt8.self).allSatisfy { $0 == 0 })
  }

  @Test func refusals() throws {
    #expect(
      refusal { _ = try Detector(Module(ClassName("m", "Net"))) }?.contains("no detection head that is known") == true)
    var head = Module(ClassName("ultralytics.nn.modules.head", "Detect"))
    #expect(refusal { _ = try Detector(head) }?.contains("'nc'") == true)
    head.attributes["nc"] = .int(2)
    #expect(refusal { _ = try Detector(head) }?.contains("'stride'") == true)
    head.attributes["stride"] = .list([.int(8)])
    let detector = try Detector(head)
    let picture = try ImageFile(pixels: Tensor(.uint8, [60, 80, 3]))
    #expect(refusal { _ = try detector.prepare(picture, .init(imageSize: [0, 4])) }?.contains("size") == true)
    #expect(refusal { _ = try detector.prepare(picture, .init(confidence: 2)) }?.contains("from 0 to 1") == true)
    #expect(refusal { _ = try detector.prepare(picture, .init(classes: [2])) }?.contains("from 0 to 1") == true)
  }

  @Test func readingOfDensePredictions() throws {
    var head = Module(ClassName("ultralytics.nn.modules.head", "Detect"))
    head.attributes["nc"] = .int(2)
    head.attributes["stride"] = .list([.int(8)])
    let known = try DetectionHead(of: head)
    var reader = PredictionReader(head: known, options: .init())
    // Middle, size and two classes of three positions: the first two overlap.
    let values: [Float] = [10, 11, 50, 10, 10, 50, 8, 8, 4, 8, 8, 4, 0.9, 0.8, 0.1, 0.1, 0.2, 0.2]
    try reader.read(Tensor(values, [1, 6, 3]))
    let found = reader.chosen()
    #expect(found.map(\.score) == [0.9] && found[0].box == Box(6, 6, 14, 14) && found[0].classIndex == 0)
    #expect(refusal { try reader.read(Tensor(.float32, [1, 7, 3])) }?.contains("gives 6 numbers a position") == true)
    #expect(refusal { try reader.read(Tensor(.float32, [6, 3])) }?.contains("three axes") == true)
  }
}
