import ArgumentParser
import ModelUtils
import SystemPackage

/// The options of `val` that are for detectors, nil where they are not given.
struct DetectorArguments: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "By whose rules: yolov5, yolov6, yolov7, yolov9, ultralytics or rtdetr. Default: those of the program that the model is from.",
      valueName: "program"))
  var rules: DetectorValidation.Rules?

  @Option(help: ArgumentHelp("The least score. Default: 0.001; YOLOv6's 0.03.", valueName: "score"))
  var confidence: Double?

  @Option(
    help: ArgumentHelp(
      "How much boxes of a class may overlap: intersection over union. Default: YOLOv5's 0.6, YOLOv6's and v7's 0.65, else 0.7.",
      valueName: "iou"))
  var iou: Double?

  @Option(help: ArgumentHelp("The most that is found in a picture. Default: 300.", valueName: "n"))
  var maxDetections: Int?

  @Flag(
    inversion: .prefixedNo, help: "Whether batches are as narrow or low as their pictures. Default: not for RT-DETR.")
  var rectangles: Bool?

  @Option(
    help: ArgumentHelp("Where the pictures of a .json of instances lie. Default: beside it.", valueName: "folder"),
    completion: .directory)
  var pictures: String?

  @Option(help: ArgumentHelp("Write what was found as COCO's results.", valueName: "file"), completion: .file())
  var coco: String?

  @Option(
    name: .shortAndLong, help: ArgumentHelp("The folder to write curves and a page to.", valueName: "folder"),
    completion: .directory)
  var output: String?

  @Flag(name: .shortAndLong, help: "Replace existing files.")
  var force = false

  /// An option that was given.
  var firstGiven: String? {
    let given: [(String, Bool)] = [
      ("--rules", rules != nil), ("--confidence", confidence != nil), ("--iou", iou != nil),
      ("--max-detections", maxDetections != nil), ("--rectangles", rectangles != nil),
      ("--pictures", pictures != nil), ("--coco", coco != nil), ("--output", output != nil), ("--force", force),
    ]
    return given.first { $0.1 }?.0
  }

  func validate() throws {
    for (name, value) in [("--confidence", confidence), ("--iou", iou)] {
      if let value, !(0...1).contains(value) { throw ValidationError("\(name) takes a number from 0 to 1") }
    }
    if let maxDetections, !(1...30000).contains(maxDetections) {
      throw ValidationError("--max-detections takes a number from 1 to 30000")
    }
  }
}

extension DetectorValidation.Rules: Choice {}

/// Judges a detector and tells of it.
struct DetectorJudging {
  private let command: Val
  private var options: DetectorArguments { command.detection }
  private var report: ReportOptions { command.report }

  init(_ command: Val) { self.command = command }

  /// - Parameter trained: the [height, width] that the model was trained with, where that is known.
  func run(_ module: Module, trained: [Int]?) throws {
    let files = try outputFiles()
    let validation = try inModel { try settings(module, trained: trained) }
    let side = try inModel { try validation.side(for: module) }
    if command.imageSize != nil, side != validation.imageSize {
      report.note("pictures come \(side) pixels long, the next multiple of the model's stride")
    }
    let set = try pictureSet()
    for note in set.report.notes.prefix(4) { report.note("\(note)") }
    let names = ClassNames(of: module).all.map(\.value)
    if !names.isEmpty, names.count == set.classNames.count, names != set.classNames {
      command.noteNames(names, set.classNames)
    }
    let progress = Progress("pictures", of: set.count, isShown: !report.quiet)
    let scores = try inModel {
      try validation.scores(of: module, on: set) { progress.reach($0, of: set.count) }
    }
    progress.finish()
    if scores.instanceCount == 0 { report.note("the set has no boxes, so that there is nothing to find") }
    try files.write(scores, set, model: command.model, data: command.data)
    if report.json {
      try Results.print(json: DetectionValReport(scores))
      return
    }
    for line in Self.table(scores) { Results.print(line) }
    if let folder = files.folder { Results.print("Saved \(folder)") }
  }

  private func inModel<R>(_ body: () throws -> R) throws -> R {
    do { return try body() } catch let error as ModelError {
      throw error.file == nil ? error.inFile(command.model) : error
    }
  }

  private func settings(_ module: Module, trained: [Int]?) throws -> DetectorValidation {
    // Also where the rules are given, a model that is no detector is told first.
    let own = try DetectorValidation.Rules(of: module)
    var validation = DetectorValidation(options.rules ?? own)
    let size = command.imageSize.map { [$0.height, $0.width] } ?? trained
    if let size {
      guard let side = size.first, size.allSatisfy({ $0 == side }) else {
        throw ModelError(
          .unsupported, "a detector is judged by the length of the pictures' longer side",
          advice: "give --image-size one number")
      }
      validation.imageSize = side
    }
    validation.batchSize = command.batchSize ?? validation.batchSize
    if let confidence = options.confidence {
      if validation.confusionConfidence == validation.confidence { validation.confusionConfidence = confidence }
      validation.confidence = confidence
    }
    validation.overlap = options.iou ?? validation.overlap
    validation.limit = options.maxDetections ?? validation.limit
    validation.isRectangular = options.rectangles ?? validation.isRectangular
    try validation.check()
    return validation
  }

  private func pictureSet() throws -> DetectionSet {
    let path = FilePath(command.data)
    guard path.extension?.lowercased() == "json" else {
      if options.pictures != nil {
        throw ModelError(.invalid, "--pictures goes with a .json of instances", file: command.data)
      }
      return try DetectionDescription(contentsOf: path).set(command.split ?? .val)
    }
    if command.split != nil {
      throw ModelError(.invalid, "a .json of instances has no parts", file: command.data, advice: "leave --split out")
    }
    return try DetectionSet(
      coco: path, pictures: options.pictures.map { FilePath($0) } ?? path.removingLastComponent())
  }

  private func outputFiles() throws -> JudgedFiles {
    let files = JudgedFiles(
      folder: options.output.map { FilePath($0) }, coco: options.coco.map { FilePath($0) })
    try files.check(force: options.force)
    return files
  }

  /// The table that the originals print.
  private static func table(_ scores: DetectionScores) -> [String] {
    func line(_ name: String, _ pictures: String, _ instances: String, _ values: [String]) -> String {
      func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
      }
      return right(name, 22) + ([pictures, instances] + values).map { right($0, 11) }.joined()
    }
    func rounded(_ values: [Double]) -> [String] { values.map { CFormat.string("%.3g", $0) } }
    let all = [scores.precision, scores.recall, scores.averagePrecision50, scores.averagePrecision]
    var lines = [
      line("Class", "Images", "Instances", ["P", "R", "mAP50", "mAP50-95"]),
      line("all", "\(scores.count)", "\(scores.instanceCount)", rounded(all)),
    ]
    if scores.classNames.count > 1 {
      lines += scores.classes.map { item in
        line(
          item.className.printable(limit: 20), "\(item.pictureCount)", "\(item.instanceCount)",
          rounded([item.precision, item.recall, item.averagePrecision50, item.averagePrecision]))
      }
    }
    return lines
  }
}

/// What `val` writes of a detector.
struct JudgedFiles {
  let folder: FilePath?
  let coco: FilePath?
  private static let drawings = ["PR_curve", "F1_curve", "P_curve", "R_curve", "confusion_matrix"]

  private var paths: [FilePath] {
    let inside = folder.map { folder in (Self.drawings.map { "\($0).svg" } + ["report.html"]).map(folder.appending) }
    return (inside ?? []) + (coco.map { [$0] } ?? [])
  }

  /// Before anything is computed.
  func check(force: Bool) throws {
    for path in paths { try PictureFiles.check(path, force: force) }
  }

  func write(_ scores: DetectionScores, _ set: DetectionSet, model: String, data: String) throws {
    if let coco { try set.writeCOCOResults(scores.predictions, to: coco) }
    guard let folder else { return }
    try FileFolder.make(folder)
    for curve in scores.plots { try curve.plot.write(to: folder.appending("\(curve.name).svg")) }
    if let matrix = scores.confusionMatrix, matrix.classCount <= ConfusionMatrix.drawingLimit {
      try matrix.write(svg: folder.appending("confusion_matrix.svg"), names: scores.classNames + ["background"])
    }
    let name = FilePath(model).lastComponent?.string ?? model
    try scores.page(
      title: "\(name) on \(FilePath(data).lastComponent?.string ?? data)",
      arguments: [.init("model", model), .init("data", data), .init("pictures", "\(scores.count)")]
    ).write(to: folder.appending("report.html"))
  }
}

/// What `val --json` prints of a detector.
struct DetectionValReport: Encodable {
  struct ClassEntry: Encodable {
    let number: Int
    let name: String
    let pictures, instances: Int
    let precision, recall, f1, map50, map5095: Double

    private enum CodingKeys: String, CodingKey {
      case number = "class"
      case name, pictures, instances, precision, recall, f1, map50, map5095
    }
  }

  let task = ValTask.detect
  let rules: DetectorValidation.Rules
  let metrics: [String: Double]
  let count: Int
  let instances: Int
  /// Where precision, recall and F1 are taken.
  let bestConfidence: Double
  let classes: [ClassEntry]
  let names: [String]
  /// Rows of classes found, columns of classes that are there; the background's come last.
  let confusion: [[Int]]?

  init(_ scores: DetectionScores) {
    rules = scores.validation.rules
    metrics = Dictionary(
      zip(COCOEvaluation.Figures.names, scores.figures.values), uniquingKeysWith: { first, _ in first }
    ).merging(
      [
        "map50": scores.averagePrecision50, "map5095": scores.averagePrecision, "precision": scores.precision,
        "recall": scores.recall, "f1": scores.f1,
      ], uniquingKeysWith: { first, _ in first })
    (count, instances, bestConfidence) = (scores.count, scores.instanceCount, scores.curves.best.confidence)
    classes = scores.classes.map { item in
      ClassEntry(
        number: item.classIndex, name: item.className, pictures: item.pictureCount, instances: item.instanceCount,
        precision: item.precision, recall: item.recall, f1: item.f1, map50: item.averagePrecision50,
        map5095: item.averagePrecision)
    }
    names = scores.classNames
    confusion = scores.confusion.map { matrix in
      let side = matrix.classCount + 1
      return (0..<side).map { Array(matrix.counts[$0 * side..<($0 + 1) * side]) }
    }
  }
}
