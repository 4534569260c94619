import ModelArchitectures
import ModelCore
import ModelData
import ModelDetection
import ModelImages
import SystemPackage
import TestSupport
import Testing

@testable import ModelWorkflows

@Suite struct DetectorValidationTests {
  /// Pictures of [height, width] with rows of labels, of two classes.
  private func set(_ pictures: [(size: [Int], rows: [String]?)]) throws -> (DetectionSet, TemporaryFolder) {
    let folder = try TemporaryFolder()
    try folder.make("images")
    try folder.make("labels")
    var numbers = Generator(7)
    for (index, picture) in pictures.enumerated() {
      let pixels = (0..<picture.size[0] * picture.size[1] * 3).map { _ in UInt8.random(in: 0...255, using: &numbers) }
      try ImageFile(pixels: Tensor(pixels, picture.size + [3])).write(to: folder["images/\(index).png"])
      if let rows = picture.rows { try folder.write(rows.joined(separator: "\n"), to: "labels/\(index).txt") }
    }
    try folder.write("val: images\nnames: [cat, dog]\n", to: "data.yaml")
    return (try DetectionDescription(contentsOf: folder["data.yaml"]).set(.val), folder)
  }

  private func yolov5Head(_ classes: Int = 2) throws -> DetectionHead {
    var head = Module(ClassName("models.yolo", "Detect"))
    head.attributes["nc"] = .int(classes)
    head.attributes["stride"] = .list([.int(8), .int(16), .int(32)])
    head.children["m"] = Module(ClassName("torch.nn.modules.container", "ModuleList"))
    return try DetectionHead(of: head)
  }

  /// Judges rows [x, y, width, height, confidence, class …] of each picture, in the pixels of its input.
  private func scores(
    _ set: DetectionSet, _ validation: DetectorValidation, _ rows: [[[Float]]]
  ) throws -> DetectionScores {
    let loader = try DetectionLoader(set, imageSize: 64, augmentation: nil, fit: validation.rules.fit)
    let batches = try loader.batches(epoch: 0, [Array(0..<set.count)])
    let batch = try #require(try batches.next())
    let count = rows.map(\.count).max() ?? 0
    let values = rows.flatMap { picture in
      (picture + [[Float]](repeating: [Float](repeating: 0, count: 7), count: count - picture.count)).flatMap { $0 }
    }
    var tally = DetectionTally(validation, set, try yolov5Head())
    try tally.add(Tensor(values, [set.count, count, 7]), of: batch)
    return try tally.scores()
  }

  /// A picture of 32 x 64, in the middle of an input of 64 x 64, has a cat on the left and a dog on the right.
  private let pair = (size: [32, 64], rows: ["0 0.25 0.5 0.25 0.5", "1 0.75 0.5 0.25 0.5"])

  @Test func whatIsThereIsFound() throws {
    let (set, folder) = try set([pair, (size: [64, 64], rows: nil)])
    defer { withExtendedLifetime(folder) {} }
    for rules in [DetectorValidation.Rules.yolov5, .yolov6, .yolov7, .yolov9, .ultralytics] {
      let found = try scores(
        set, DetectorValidation(rules),
        [[[16, 32, 16, 16, 0.9, 1, 0], [48, 32, 16, 16, 1, 0, 0.8]], [[20, 20, 9, 9, 0.1, 0.1, 0]]])
      // Two right ones are the surest, a wrong one in the second picture is not; precision falls on the way to it.
      #expect(found.averagePrecision50 > 0.99 && found.averagePrecision > 0.99, "\(rules)")
      #expect(found.precision > 0.9 && found.recall == 1, "\(rules)")
      #expect(found.count == 2 && found.instanceCount == 2 && found.pictures == [1, 1])
      #expect(found.figures.averagePrecision > 0.999)
      #expect(found.classes.map(\.className) == ["cat", "dog"])
      let first = found.predictions.filter { $0.picture == 0 }.sorted { $0.score > $1.score }[0]
      #expect([first.x, first.y, first.width, first.height] == [8, 8, 16, 16])
      #expect(first.score == 0.9 && first.classIndex == 0)
    }
  }

  @Test func aBoxMayBeOfSeveralClasses() throws {
    let (set, folder) = try set([pair])
    defer { withExtendedLifetime(folder) {} }
    let rows: [[[Float]]] = [[[16, 32, 16, 16, 1, 0.6, 0.4], [48, 32, 16, 16, 1, 0.5, 0.7]]]
    var validation = DetectorValidation(.yolov5)
    #expect(try scores(set, validation, rows).predictions.map(\.score) == [0.7, 0.6, 0.5, 0.4])
    validation.givesAllClasses = false
    #expect(try scores(set, validation, rows).predictions.map(\.classIndex) == [1, 0])
    validation.givesAllClasses = true
    validation.limit = 3
    #expect(try scores(set, validation, rows).predictions.map(\.classIndex) == [1, 0, 0])
    validation.confidence = 0.55
    #expect(try scores(set, validation, rows).predictions.map(\.score) == [0.7, 0.6])
  }

  /// Two cats, of which the first and third prediction find one each: by hand as in the tests of the curves, and in COCO's
  /// 101 recalls 1 up to a half and 2/3 behind it.
  @Test func everyRuleByHand() throws {
    let (set, folder) = try set([
      (size: [64, 64], rows: ["0 0.25 0.25 0.25 0.25", "0 0.75 0.75 0.25 0.25"])
    ])
    defer { withExtendedLifetime(folder) {} }
    let rows: [[[Float]]] = [
      [[16, 16, 16, 16, 0.9, 1, 0], [48, 16, 16, 16, 0.8, 1, 0], [48, 48, 16, 16, 0.7, 1, 0]]
    ]
    let full = 0.49 + 0.01 * 5 / 6 + 0.49 * 2 / 3
    let coco = (51 + 50 * 2.0 / 3) / 101
    for (rules, expected) in [
      (DetectorValidation.Rules.yolov5, full + 0.01 / 3), (.yolov6, coco), (.yolov7, full + 0.01 * 2 / 3),
      (.yolov9, full + 0.01 / 3), (.ultralytics, full + 0.01 / 3),
    ] {
      let found = try scores(set, DetectorValidation(rules), rows)
      #expect(abs(found.averagePrecision50 - expected) < 1e-9, "\(rules) \(found.averagePrecision50)")
      #expect(abs(found.averagePrecision - expected) < 1e-9)
      #expect(abs(found.figures.averagePrecision50 - coco) < 1e-9)
      #expect(found.recall == 1 && abs(found.precision - 2 / 3.0) < 1e-9 && abs(found.f1 - 0.8) < 1e-9)
      let item = found.classes[0]
      #expect(item.averagePrecision50 == found.averagePrecision50 && item.instanceCount == 2)
      #expect(try #require(found.confusion).counts == [2, 0, 1, 0, 0, 0, 0, 0, 0])
      #expect(found.confusionMatrix?[true: 2, predicted: 0] == 1)
      #expect(found.plots.map(\.name) == ["PR_curve", "F1_curve", "P_curve", "R_curve"])
      let page = try found.page(title: "x").html()
      #expect(page.contains("By class") && page.contains("background"))
    }
  }

  @Test func nothingFoundAndNothingThere() throws {
    let (full, folder) = try set([pair])
    let (empty, other) = try set([(size: [32, 64], rows: [])])
    defer { withExtendedLifetime((folder, other)) {} }
    for rules in [DetectorValidation.Rules.yolov5, .yolov6, .ultralytics] {
      let none = try scores(full, DetectorValidation(rules), [[[16, 32, 16, 16, 0, 1, 0]]])
      #expect(
        [none.averagePrecision50, none.averagePrecision, none.precision, none.recall, none.f1] == [0, 0, 0, 0, 0])
      #expect(none.predictions.isEmpty && none.classes.count == 2)
      let nothing = try scores(empty, DetectorValidation(rules), [[[16, 32, 16, 16, 1, 1, 0]]])
      #expect(nothing.averagePrecision50 == 0 && nothing.instanceCount == 0 && nothing.classes.isEmpty)
      #expect(nothing.figures.averagePrecision == -1)
      #expect(!(try nothing.page(title: "x").html()).isEmpty)
    }
  }

  @Test func whatIsNoNumberIsRefused() throws {
    let (set, folder) = try set([pair])
    defer { withExtendedLifetime(folder) {} }
    for place in 0..<7 {
      var row: [Float] = [16, 32, 16, 16, 0.9, 1, 0]
      row[place] = .nan
      let text = refusal { _ = try scores(set, DetectorValidation(.yolov5), [[row, row]]) }
      #expect(text?.contains("0.png") == true && text?.contains("NaN") == true)
    }
    var far: [Float] = [16, 32, 16, 16, 0.9, 1, 0]
    far[2] = .infinity
    #expect(try scores(set, DetectorValidation(.yolov5), [[far]]).predictions.isEmpty)
  }

  @Test func networks() throws {
    let (set, folder) = try set([
      pair, (size: [64, 40], rows: ["0 0.5 0.5 0.5 0.5"]), (size: [50, 50], rows: nil),
    ])
    defer { withExtendedLifetime(folder) {} }
    for (name, rules) in [("yolov5n", DetectorValidation.Rules.yolov5), ("yolov6n", .yolov6)] {
      let module = try Architecture(named: name).module(classes: 2, seed: 3)
      #expect(try DetectorValidation.Rules(of: module) == rules && module.isDetector)
      var validation = DetectorValidation(rules)
      (validation.imageSize, validation.batchSize, validation.confidence) = (64, 2, 0.001)
      var told: [Int] = []
      let alone = try Parallel.$threadCount.withValue(1) {
        try validation.scores(of: module, on: set) { told.append($0) }
      }
      #expect(told == [2, 3] && alone.count == 3)
      let together = try Parallel.$threadCount.withValue(3) { try validation.scores(of: module, on: set) }
      #expect(together.predictions == alone.predictions && together.evaluation == alone.evaluation)
      #expect(together.curves == alone.curves && together.confusion == alone.confusion)
      // As many batches as there are, in whatever shape, show the same pictures.
      validation.isRectangular = false
      #expect(try validation.scores(of: module, on: set).count == 3)
    }
    let other = try Architecture(named: "yolov5n").module(classes: 3)
    #expect(
      refusal { _ = try DetectorValidation(.yolov5).scores(of: other, on: set) }?.contains("3 classes") == true)
    #expect(refusal { _ = try DetectorValidation(.yolov5).scores(of: Module(ClassName("m", "Net")), on: set) } != nil)
    #expect(!Module(ClassName("m", "Net")).isDetector)
  }

  @Test func settings() throws {
    for rules in DetectorValidation.Rules.allCases { try DetectorValidation(rules).check() }
    let usual = DetectorValidation(.yolov6)
    #expect(usual.confidence == 0.03 && usual.overlap == 0.65 && usual.limit == 300 && usual.batchSize == 32)
    let changes: [(inout DetectorValidation) -> Void] = [
      { $0.imageSize = 7 }, { $0.imageSize = 1 << 20 }, { $0.batchSize = 0 }, { $0.confidence = -0.1 },
      { $0.confidence = .nan }, { $0.overlap = 1.1 }, { $0.limit = 0 }, { $0.limit = 30001 }, { $0.padding = -1 },
      { $0.confusionConfidence = 2 },
    ]
    for change in changes {
      var validation = usual
      change(&validation)
      #expect(refusal { try validation.check() } != nil)
    }
  }

  @Test func resultsAreCOCOs() throws {
    let (set, folder) = try set([pair, pair])
    let predictions = [
      DetectionPrediction(picture: 1, classIndex: 1, x: 1.5, y: 2, width: 3.125, height: 4, score: 0.25),
      DetectionPrediction(picture: 0, classIndex: 0, x: 0, y: 0, width: 1, height: 1, score: 1),
    ]
    try set.writeCOCOResults(predictions, to: folder["found.json"])
    let file = try FileBytes(mapping: folder["found.json"])
    // The pictures' files have numbers for names.
    #expect(
      String(decoding: file.bytes, as: UTF8.self) == """
        [
        {"image_id":1,"category_id":1,"bbox":[1.5,2.0,3.125,4.0],"score":0.25},
        {"image_id":0,"category_id":0,"bbox":[0.0,0.0,1.0,1.0],"score":1.0}
        ]

        """)
    #expect(set.truths.count == 4 && set.truths[1].x == 40 && set.truths[1].height == 16)
    let wrong = DetectionPrediction(picture: 2, classIndex: 0, x: 0, y: 0, width: 1, height: 1, score: 1)
    #expect(refusal { try set.writeCOCOResults([wrong], to: folder["found.json"]) } != nil)
  }
}
